"""An RFC 3161 authority of one's own: `openssl ts` behind a small HTTP server on loopback."""

from __future__ import annotations

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from gateway.demo.ports import free_port

_CONFIG = """
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
[stamping]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[req]
distinguished_name = name
[name]
"""


class TimeAuthority:
    """`url` answers queries; `root` is the certificate (PEM) that vouches for it."""

    def __init__(self, folder: Path, name: str = "Own stamps") -> None:
        folder.mkdir()
        self.folder, self.root = folder, folder / "root.pem"
        config = folder / "openssl.cnf"
        config.write_text(_CONFIG.format(folder=folder))
        (folder / "serial").write_text("01")
        make = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        _openssl(
            "req", "-x509", *make, "-days", "30", "-config", str(config),
            "-extensions", "authority", "-subj", f"/CN={name} root",
            "-keyout", str(folder / "root.key"), "-out", str(self.root),
        )  # fmt: skip  # a command line
        _openssl(
            "req", "-new", *make, "-config", str(config), "-subj", f"/CN={name}",
            "-keyout", str(folder / "tsa.key"), "-out", str(folder / "tsa.csr"),
        )  # fmt: skip  # a command line
        _openssl(
            "x509", "-req", "-days", "30", "-in", str(folder / "tsa.csr"), "-CA", str(self.root),
            "-CAkey", str(folder / "root.key"), "-CAcreateserial", "-extfile", str(config),
            "-extensions", "stamping", "-out", str(folder / "tsa.pem"),
        )  # fmt: skip  # a command line
        self.asked = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}/tsr"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.asked += 1
                query = outer.folder / f"{outer.asked}.tsq"
                query.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
                answer = query.with_suffix(".tsr")
                _openssl(
                    "ts", "-reply", "-config", str(outer.folder / "openssl.cnf"),
                    "-queryfile", str(query), "-out", str(answer),
                )  # fmt: skip  # a command line
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.end_headers()
                self.wfile.write(answer.read_bytes())

            def log_message(self, *_: object) -> None:
                """Nothing: a test reads no log of it."""

        return Handler

    def close(self) -> None:
        """Answers no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
