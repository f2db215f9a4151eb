"""Run a program as on a CPU without AMX: the system call that asks for its tile registers fails.

Engines that look only at the CPU's flags would end with a signal; ONNX Runtime, llama.cpp and ragd
ask first, as Linux wants it (Documentation/arch/x86/xstate.rst), and take their next best kernels."""
import ctypes
import errno
import struct

ARCH_PRCTL = 158  # x86-64
ARCH_REQ_XCOMP_PERM = 0x1023
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06  # of classic BPF: word at, if equal, ret
NUMBER, FIRST_ARGUMENT = 0, 16  # in struct seccomp_data
ALLOW, FAIL = 0x7fff0000, 0x00050000 | errno.EINVAL


def forbid_amx():
    """For subprocess's preexec_fn: holds for this process and what it starts."""
    steps = [(LOAD, 0, 0, NUMBER), (JUMP_EQUAL, 0, 3, ARCH_PRCTL), (LOAD, 0, 0, FIRST_ARGUMENT),
             (JUMP_EQUAL, 0, 1, ARCH_REQ_XCOMP_PERM), (RETURN, 0, 0, FAIL), (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or \
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp filter")
