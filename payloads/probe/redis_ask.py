"""Asks a Redis, as the product reaches it. Standard library alone.

Argument: {"url" or "env" or "yaml_env" with "keys": where the address is; "host", "port": instead of its own;
"token_env": the variable with the password; "commands": [[word, ...], ...]}.
The first command that is refused ends it; its code is the first word of the raw error reply.
"""

import os
import socket
import ssl
from urllib.parse import parse_qs, unquote, urlsplit

from common import connected, tell

SECONDS = 5


class Refused(Exception):
    def __init__(self, step, reply):
        super().__init__(reply)
        self.step, self.reply = step, reply


def url_of(ask):
    """The address as the product has it: given, from a variable, or a key of the YAML text in a variable."""
    if "yaml_env" in ask:
        import yaml

        config = yaml.safe_load(os.environ[ask["yaml_env"]])
        return next(str(config[key]) for key in ask["keys"] if config.get(key))
    return os.environ[ask["env"]] if "env" in ask else ask["url"]


def send(stream, *words):
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(raw), raw))
    stream.write(b"".join(parts))
    stream.flush()
    return reply(stream, words[0])


def reply(stream, step):
    line = stream.readline()
    if not line:
        raise ConnectionResetError("the connection was closed before an answer")
    kind, rest = line[:1], line[1:].strip().decode(errors="replace")
    if kind == b"-":
        raise Refused(step, rest)
    if kind == b"$":
        size = int(rest)
        return None if size < 0 else stream.read(size + 2)[:-2].decode(errors="replace")
    if kind == b"*":
        return [reply(stream, step) for _ in range(int(rest))]
    if kind not in (b"+", b":"):
        raise ConnectionResetError("what answers does not speak Redis")
    return int(rest) if kind == b":" else rest


def main(ask):
    url = urlsplit(url_of(ask))
    host, port = ask.get("host") or url.hostname, int(ask.get("port") or url.port or 6379)
    at, query = f"{host}:{port}", parse_qs(url.query)
    password = unquote(url.password) if url.password else os.environ.get(ask.get("token_env") or "", "")
    # With a token of its own the product always speaks TLS, and looks at no certificate.
    by_token = bool(password) and not url.password
    verify = not by_token and query.get("ssl_cert_reqs", [""])[0].lower() not in ("none", "cert_none")

    def fail(code, said, step=""):
        return dict(ok=False, code=code, at=at, said=str(said)[:300], step=step)

    plain, code, said = connected(host, port, SECONDS)
    if plain is None:
        return fail(code, said)
    try:
        plain.settimeout(SECONDS)
        if url.scheme == "rediss" or by_token:
            context = ssl.create_default_context()
            if not verify:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            try:
                plain = context.wrap_socket(plain, server_hostname=host)
            except socket.timeout:
                return fail("tls", f"no TLS handshake within {SECONDS} s: perhaps it speaks none")
        stream = plain.makefile("rwb")
        if password:
            user = [unquote(url.username)] if url.username else []
            send(stream, "AUTH", *user, password)
        database = url.path.strip("/") or query.get("db", [""])[0]
        if database not in ("", "0"):
            send(stream, "SELECT", database)
        replies = [send(stream, *words) for words in ask["commands"]]
    except Refused as error:
        code = error.reply.split(" ")[0]
        return fail("auth" if (error.step, code) == ("AUTH", "ERR") else code, error.reply, error.step)
    except ssl.SSLError as error:
        return fail("tls", error)
    except socket.timeout:
        return fail("timeout", f"it accepts the connection and does not answer within {SECONDS} s")
    except OSError as error:
        return fail("closed", error)
    return dict(ok=True, at=at, replies=replies)


tell(main)
