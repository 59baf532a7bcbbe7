"""The part of PKCS#11 (v2.40) that signing needs, over ctypes: no wheel, any CPU, thread-safe.

C_Initialize is called with CKF_OS_LOCKING_OK, so each thread may own a session. A session belongs
to one thread. Return codes become the errors of `firmware_bridge.errors`; nothing here retries.
"""

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from ctypes import POINTER, byref, c_char, c_char_p, c_ubyte, c_ulong, c_void_p
from typing import Final

from firmware_bridge.errors import (
    KeyHolderError,
    MechanismError,
    PinLockedError,
    PinRejectedError,
    SignerUnavailableError,
)

CKA_CLASS: Final = 0x0
CKA_TOKEN: Final = 0x1
CKA_PRIVATE: Final = 0x2
CKA_LABEL: Final = 0x3
CKA_VALUE: Final = 0x11
CKA_KEY_TYPE: Final = 0x100
CKA_ID: Final = 0x102
CKA_SENSITIVE: Final = 0x103
CKA_SIGN: Final = 0x108
CKA_VERIFY: Final = 0x10A
CKA_EXTRACTABLE: Final = 0x162
CKA_NEVER_EXTRACTABLE: Final = 0x164
CKA_EC_PARAMS: Final = 0x180
CKA_EC_POINT: Final = 0x181
CKO_PUBLIC_KEY: Final = 2
CKO_PRIVATE_KEY: Final = 3
CKK_EC: Final = 0x3
CKK_EC_EDWARDS: Final = 0x40
CKM_EC_KEY_PAIR_GEN: Final = 0x1040
CKM_ECDSA: Final = 0x1041
CKM_EC_EDWARDS_KEY_PAIR_GEN: Final = 0x1055
CKM_EDDSA: Final = 0x1057

_CKF_OS_LOCKING_OK = 0x2
_CKF_SERIAL_SESSION = 0x4
_CKF_RW_SESSION = 0x2
_CKF_HW_SLOT = 0x4
_CKU_USER = 1
_CKR_ALREADY_INITIALIZED = 0x191
_CKR_ALREADY_LOGGED_IN = 0x100
_PIN_LOCKED = 0xA4
_PIN_CODES = frozenset({0xA0, 0xA1, 0xA2, 0xA3})  # incorrect, invalid, length, expired
_MECHANISM_CODES = frozenset({0x63, 0x68, 0x70, 0x71})  # key type, function, mechanism, parameter
# What may be done about it, where more can be said than a number (PKCS#11 v2.40, section 4.1.3).
_WORDS = {
    0x30: "device error",
    0x31: "the device is out of memory",
    0x32: "the token was removed",
    0x82: "the key object is gone",
    0xB3: "the session was closed",
    0xE0: "the token is not present; is it plugged in?",
    0x101: "not logged in",
}
_UNREADABLE = c_ulong(-1).value
_ATTRIBUTE_BYTES_MAX = 4096
_SLOTS_MAX = 64
_SIGNATURE_BYTES_MAX = 512

# Position of each function in CK_FUNCTION_LIST, which starts with a version of two bytes.
_POSITIONS = {
    "C_Initialize": 0,
    "C_Finalize": 1,
    "C_GetSlotList": 4,
    "C_GetSlotInfo": 5,
    "C_GetTokenInfo": 6,
    "C_OpenSession": 12,
    "C_CloseSession": 13,
    "C_Login": 18,
    "C_GetAttributeValue": 24,
    "C_FindObjectsInit": 26,
    "C_FindObjects": 27,
    "C_FindObjectsFinal": 28,
    "C_SignInit": 42,
    "C_Sign": 43,
    "C_GenerateKeyPair": 59,
}


class _FunctionList(ctypes.Structure):
    _fields_ = (("version", c_ubyte * 2), ("functions", c_void_p * 68))


class _InitializeArgs(ctypes.Structure):
    _fields_ = (("mutex_functions", c_void_p * 4), ("flags", c_ulong), ("reserved", c_void_p))


class _Attribute(ctypes.Structure):
    _fields_ = (("type", c_ulong), ("value", c_void_p), ("size_bytes", c_ulong))


class _Mechanism(ctypes.Structure):
    _fields_ = (("mechanism", c_ulong), ("parameter", c_void_p), ("size_bytes", c_ulong))


class _SlotInfo(ctypes.Structure):
    _fields_ = (
        ("description", c_char * 64),
        ("manufacturer", c_char * 32),
        ("flags", c_ulong),
        ("versions", c_ubyte * 4),
    )


class _TokenInfo(ctypes.Structure):
    _fields_ = (
        ("label", c_char * 32),
        ("manufacturer", c_char * 32),
        ("model", c_char * 16),
        ("serial", c_char * 16),
        ("flags", c_ulong),
        ("counts", c_ulong * 10),
        ("versions", c_ubyte * 4),
        ("utc_time", c_char * 16),
    )


# A bool goes as CK_BBOOL of one byte, any other int as CK_ULONG.
Attribute = tuple[int, int | bytes]


class TokenRefusedError(KeyHolderError):
    """A PKCS#11 call failed; `code` is its CKR_ value. The caller decides whether to start anew."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function}: {_WORDS.get(code, 'failed')} (0x{code:x})")
        self.function, self.code = function, code


def _template(attributes: Sequence[Attribute]) -> "ctypes.Array[_Attribute]":
    """A C template; its `kept` pins the buffers that it points to."""
    array = (_Attribute * len(attributes))()
    kept = []
    for index, (kind, value) in enumerate(attributes):
        raw = _attribute_bytes(value)
        buffer = ctypes.create_string_buffer(raw, len(raw))
        kept.append(buffer)
        array[index] = _Attribute(kind, ctypes.cast(buffer, c_void_p), len(raw))
    array.kept = kept  # type: ignore[attr-defined]  # ctypes arrays take attributes
    return array


def _attribute_bytes(value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    return bytes([value]) if isinstance(value, bool) else bytes(c_ulong(value))


class Module:
    """A loaded and initialised PKCS#11 library; one per process and path."""

    def __init__(self, path: str) -> None:
        """Loads and initialises. Raises SignerUnavailableError if there is no such library."""
        try:
            library = ctypes.CDLL(path)
            get_list = library.C_GetFunctionList
        except (OSError, AttributeError) as error:
            raise SignerUnavailableError(
                f"cannot load the PKCS#11 module {path}; install it, or mend module-path"
            ) from error
        pointer = POINTER(_FunctionList)()
        get_list(byref(pointer))
        prototype = ctypes.CFUNCTYPE(c_ulong)
        self._functions = {
            name: prototype(pointer.contents.functions[position])
            for name, position in _POSITIONS.items()
        }
        self.initialize()

    def call(self, function: str, *arguments: object) -> None:
        """Calls one function. Raises PinRejectedError, PinLockedError, MechanismError or
        TokenRefusedError.
        """
        code = self._functions[function](*arguments)
        if code == 0:
            return
        if code == _PIN_LOCKED:
            raise PinLockedError(
                "the token has locked its PIN; unlock it (SO PIN; a TPM's lockout ends by itself), "
                "then start again"
            )
        if code in _PIN_CODES:
            raise PinRejectedError("the token refused the PIN")
        if code in _MECHANISM_CODES:
            raise MechanismError(
                f"the token does not sign with this key ({function}: 0x{code:x}); "
                "make a P-256 key on it for signing"
            )
        raise TokenRefusedError(function, code)

    def initialize(self) -> None:
        """C_Initialize with the operating system's locks; a second time is no error."""
        arguments = _InitializeArgs(flags=_CKF_OS_LOCKING_OK)
        try:
            self.call("C_Initialize", byref(arguments))
        except TokenRefusedError as error:
            if error.code != _CKR_ALREADY_INITIALIZED:
                raise

    def reinitialize(self) -> None:
        """Forgets all sessions and looks at the hardware anew: the only way back after a token was
        away.
        """
        # It may not be initialised, or be beyond saying so.
        with suppress(TokenRefusedError):
            self.call("C_Finalize", c_void_p())
        self.initialize()

    def find_slot(self, token: str, serial: str | None = None) -> int:
        """The slot id whose token has this label (and serial). Raises SignerUnavailableError."""
        slots, count = (c_ulong * _SLOTS_MAX)(), c_ulong(_SLOTS_MAX)
        self.call("C_GetSlotList", c_ubyte(1), slots, byref(count))
        for slot in slots[: count.value]:
            info = _TokenInfo()
            self.call("C_GetTokenInfo", c_ulong(slot), byref(info))
            if _text(info.label) == token and serial in (None, _text(info.serial)):
                return int(slot)
        raise SignerUnavailableError(f"no token with the label {token!r}; is it plugged in?")

    def is_hardware(self, slot: int) -> bool:
        """Whether the slot says that it is a device. SoftHSM and the like say that they are not."""
        info = _SlotInfo()
        self.call("C_GetSlotInfo", c_ulong(slot), byref(info))
        return bool(info.flags & _CKF_HW_SLOT)


def _text(padded: bytes) -> str:
    return padded.decode("utf-8", "replace").rstrip(" \x00")


class Session:
    """A logged-in session of one thread."""

    def __init__(self, module: Module, slot: int, pin: bytes | None) -> None:
        """Opens and logs in, with exactly one try. Without a PIN only public objects are seen."""
        self._module, self._handle = module, c_ulong()
        flags = c_ulong(_CKF_SERIAL_SESSION | _CKF_RW_SESSION)
        module.call(
            "C_OpenSession", c_ulong(slot), flags, c_void_p(), c_void_p(), byref(self._handle)
        )
        if pin is not None:
            self._login(pin)

    def _login(self, pin: bytes) -> None:
        try:
            self._module.call(
                "C_Login", self._handle, c_ulong(_CKU_USER), c_char_p(pin), c_ulong(len(pin))
            )
        except TokenRefusedError as error:
            # The login belongs to the token, not to the session: another thread's is ours too.
            if error.code != _CKR_ALREADY_LOGGED_IN:
                self.close()
                raise
        except PinRejectedError:
            self.close()
            raise

    def close(self) -> None:
        """Closes the session; a session that the token has forgotten is closed too."""
        with suppress(TokenRefusedError):
            self._module.call("C_CloseSession", self._handle)

    def find(self, attributes: Sequence[Attribute]) -> list[int]:
        """Handles of up to 16 objects with all these attributes."""
        template, found, count = _template(attributes), (c_ulong * 16)(), c_ulong()
        self._module.call("C_FindObjectsInit", self._handle, template, c_ulong(len(template)))
        try:
            self._module.call("C_FindObjects", self._handle, found, c_ulong(16), byref(count))
        finally:
            self._module.call("C_FindObjectsFinal", self._handle)
        return list(found[: count.value])

    def attribute(self, handle: int, kind: int) -> bytes:
        """One attribute's bytes. Raises TokenRefusedError (0x11: sensitive, 0x12: not there)."""
        buffer = ctypes.create_string_buffer(_ATTRIBUTE_BYTES_MAX)
        cell = _Attribute(kind, ctypes.cast(buffer, c_void_p), _ATTRIBUTE_BYTES_MAX)
        self._module.call(
            "C_GetAttributeValue", self._handle, c_ulong(handle), byref(cell), c_ulong(1)
        )
        if cell.size_bytes == _UNREADABLE:
            raise TokenRefusedError("C_GetAttributeValue", 0x11)
        return buffer.raw[: cell.size_bytes]

    def sign(self, handle: int, mechanism: int, data: bytes) -> bytes:
        """The raw signature over `data`; for CKM_ECDSA data must be a digest of 32 bytes."""
        if mechanism == CKM_ECDSA and len(data) != 32:
            # Tokens sign 200-byte "digests" without complaint, and verify them too.
            raise ValueError(f"digest has {len(data)} bytes, not 32")
        how = _Mechanism(mechanism, None, 0)
        out, size = (c_ubyte * _SIGNATURE_BYTES_MAX)(), c_ulong(_SIGNATURE_BYTES_MAX)
        self._module.call("C_SignInit", self._handle, byref(how), c_ulong(handle))
        self._module.call(
            "C_Sign", self._handle, c_char_p(data), c_ulong(len(data)), out, byref(size)
        )
        return bytes(out[: size.value])

    def generate_key_pair(
        self, mechanism: int, public: Sequence[Attribute], private: Sequence[Attribute]
    ) -> None:
        """Makes a key pair inside the token."""
        how = _Mechanism(mechanism, None, 0)
        public_c, private_c = _template(public), _template(private)
        public_handle, private_handle = c_ulong(), c_ulong()
        self._module.call(
            "C_GenerateKeyPair",
            self._handle,
            byref(how),
            public_c,
            c_ulong(len(public_c)),
            private_c,
            c_ulong(len(private_c)),
            byref(public_handle),
            byref(private_handle),
        )
