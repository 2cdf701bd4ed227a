# Executes a command to which the kernel answers an error instead of doing one system call, as seccomp
# filters of systemd and of container runtimes do.
# Usage: python3 -c THIS CALL ERROR COMMAND [ARGUMENT...], both in numbers
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000

call, error = int(sys.argv[1]), int(sys.argv[2])
filter_ = b"".join(
    struct.pack("HBBI", *step)
    for step in [
        (LOAD, 0, 0, 0),  # the system call's number
        (IF_EQUAL, 0, 1, call),
        (RETURN, 0, 0, REFUSE | error),
        (RETURN, 0, 0, ALLOW),
    ]
)
buffer = ctypes.create_string_buffer(filter_)
program = struct.pack("HxxxxxxP", len(filter_) // 8, ctypes.addressof(buffer))
prctl = ctypes.CDLL(None, use_errno=True).prctl
for step in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0)]:
    if prctl(*step):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[3], sys.argv[3:])
