# Goes on with a command line and an environment of 16 GiB each, of which no page has to be there: they
# begin with the arguments that it is given, and the rest is zero bytes. Writes its pid into a fifo.
# Usage: python3 -c THIS FIFO ARGUMENT...
import ctypes
import mmap
import os
import signal
import sys

PR_SET_MM, PR_SET_MM_MAP = 35, 14
MAP_NORESERVE = 0x4000
LENGTH = 16 << 30


def endless(text):
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
    memory = mmap.mmap(-1, LENGTH, flags=flags)
    memory.write(text)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return memory, start, start + LENGTH


with open("/proc/self/stat") as stat:
    # Those after the name, so that the first is field 3 of proc_pid_stat(5).
    fields = stat.read().rpartition(")")[2].split()
field = {number + 3: int(text) for number, text in enumerate(fields) if number > 0}
words, args_start, args_end = endless(b"".join(os.fsencode(word) + b"\0" for word in sys.argv[2:]))
pairs, env_start, env_end = endless(b"A=b\0")
# struct prctl_mm_map in include/uapi/linux/prctl.h of Linux.
new = (ctypes.c_uint64 * 13)(
    *[field[number] for number in (26, 27, 45, 46, 47, 47, 28)],
    *[args_start, args_end, env_start, env_end, 0, 0xFFFFFFFF << 32],
)
prctl = ctypes.CDLL(None, use_errno=True).prctl
size = ctypes.c_ulong(ctypes.sizeof(new))
if prctl(PR_SET_MM, PR_SET_MM_MAP, ctypes.byref(new), size, ctypes.c_ulong(0)):
    sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
with open(sys.argv[1], "w") as fifo:
    fifo.write(f"{os.getpid()}\n")
signal.pause()
