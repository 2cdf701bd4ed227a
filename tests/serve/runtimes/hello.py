"""A WSGI application, as gunicorn serves it."""


def app(environ, start_response):
    body = b"text=hello\n"
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
