const server = require('http').createServer((request, response) => {
  response.setHeader('Content-Length', 11);
  response.end('text=hello\n');
});
server.listen({ fd: 3 });
process.on('SIGTERM', () => server.close());
