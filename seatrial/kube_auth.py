"""Who we are at which API server: read by the official client, from a kubeconfig or inside a pod."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import httpx

from seatrial.kube_errors import Server
from seatrial.kubeconfig import Kubeconfig
from seatrial.mask import hide, masked
from seatrial.network import proxy_for, trusted
from seatrial.verdict import BadSettings, Refused

CONNECT_TIMEOUT = 5.0
"""Seconds for a connection to the API server: one that is there takes a fraction of it, a dropped packet for ever."""


class Credentials:
    """`kubeconfig` is a file, or several as KUBECONFIG has them; None: the service account of the pod we run in.

    `context` is a name in it, or None for its current one; `source` says where the user gave them. `BadSettings` when
    they cannot be read, `Refused` when the credential plug-in that they name gives nothing.
    """

    def __init__(
        self, kubeconfig: Path | str | None, context: str | None, *, ca_bundle: Path | None, source: str
    ) -> None:
        self._kubeconfig = None if kubeconfig is None else str(kubeconfig)
        self._context, self._ca_bundle, self._lock = context, ca_bundle, threading.Lock()
        self._source = source or (f"kubeconfig {self._kubeconfig}" if self._kubeconfig else "the pod's service account")
        self.load()

    def load(self) -> None:
        """Read everything anew: a token in a file or from a plug-in may have been replaced."""
        from kubernetes import client

        configuration = client.Configuration()
        configuration.proxy = None  # a proxy of the environment is `proxy_for`'s business
        with self._lock, _NoFilesLeft(), _PluginsWords() as words:
            self._read(configuration)
            tls = self._tls(configuration)
        if words and not (configuration.api_key or configuration.cert_file):
            raise Refused(
                f"the credential plug-in of {self.who} gives no credentials: {words[0]}",
                source=self._source,
                do=f"log in again, until this works: {self.kubectl} get --raw /version",
            )
        self._configuration, self._verify = configuration, tls
        self.url = str(configuration.host).rstrip("/")

    @property
    def who(self) -> str:
        """As messages name us."""
        return f"context {self._context}" if self._kubeconfig else "the pod's service account"

    @property
    def kubectl(self) -> str:
        """The beginning of a kubectl command for this API server."""
        usual = os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
        kubeconfig = f" --kubeconfig {self._kubeconfig}" if self._kubeconfig not in (None, usual) else ""
        return f"kubectl{kubeconfig}" + (f" --context {self._context}" if self._context else "")

    @property
    def server(self) -> Server:
        """For messages."""
        return Server(self.url, self.who, self._source, self.kubectl)

    @property
    def sni(self) -> str | None:
        """The name that the server's certificate carries, where it is not the URL's."""
        return getattr(self._configuration, "tls_server_name", None)

    def authorization(self) -> dict[str, str]:
        """The header for one request; the official client replaces a token that is about to expire."""
        with self._lock, _NoFilesLeft(), _PluginsWords():
            if self._configuration.refresh_api_key_hook:
                self._configuration.refresh_api_key_hook(self._configuration)
            keys = self._configuration.api_key
        value = keys.get("BearerToken") or keys.get("authorization")  # its name from 36 on, and before
        if not value:
            return {}
        hide(value.rpartition(" ")[2])
        return {"Authorization": value}

    def client(self, timeout: float) -> httpx.Client:
        """An HTTP client for this server; `timeout` in seconds is that of each step of a request."""
        return httpx.Client(
            base_url=self.url,
            verify=self._verify,
            proxy=proxy_for(self.url, self._configuration.proxy) if self._kubeconfig else None,
            trust_env=False,
            timeout=httpx.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout)),
            limits=httpx.Limits(max_connections=None),
            headers={"Accept": "application/json", "User-Agent": "seatrial"},
        )

    def _tls(self, configuration: Any) -> ssl.SSLContext:
        own = configuration.ssl_ca_cert
        context = trusted(own, self._ca_bundle, public=not own)
        if not configuration.verify_ssl:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        return context

    def _read(self, configuration: Any) -> None:
        import yaml
        from kubernetes import config

        try:
            if self._kubeconfig is None:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                config.load_kube_config(  # type: ignore[no-untyped-call]
                    self._kubeconfig, self._context, client_configuration=configuration
                )
                self._complete(configuration)
        except config.ConfigException as error:
            self._unusable(_without_content(str(error)))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            self._unusable(f"it is no YAML{f', see line {mark.line + 1}' if mark else ''}")
        except OSError as error:
            self._unusable(error.strerror or "it cannot be read")
        except (AttributeError, KeyError, TypeError, ValueError):
            self._unusable("it is malformed")

    def _complete(self, configuration: Any) -> None:
        """The context's name where the current one was meant, and the proxy that the client overlooks before 37."""
        read = Kubeconfig.read([Path(one) for one in str(self._kubeconfig).split(os.pathsep)], self._source)
        self._context = self._context or read.current
        cluster = read.clusters[str(read.contexts[self._context]["cluster"])]
        configuration.proxy = cluster.get("proxy-url")

    def _unusable(self, what: str) -> NoReturn:
        if self._kubeconfig is None:
            raise BadSettings(
                "no kubeconfig, and this is no pod of a cluster",
                do="set KUBECONFIG or --context, or run the HTTP checks alone with --no-cluster",
            ) from None
        raise BadSettings(
            f"kubeconfig {self._kubeconfig} cannot be used: {what}",
            source=self._source,
            do="correct it, or name another with KUBECONFIG",
        ) from None


class _NoFilesLeft(contextlib.AbstractContextManager[None]):
    """The official client writes a kubeconfig's certificates and keys to files, and removes them at its exit only: a
    process that is killed would leave a private key behind. We need them no longer than it takes to read them."""

    _lock = threading.Lock()  # the files are the whole process's

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from kubernetes.config import kube_config

        kube_config._cleanup_temp_files()  # type: ignore[no-untyped-call]
        self._lock.release()


class _PluginsWords(logging.Handler):
    """The official client only logs why a credential plug-in failed, on the root logger, and goes on without it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(masked(_without_content(record.getMessage())))

    def __enter__(self) -> list[str]:
        logging.getLogger().addHandler(self)
        return self.words

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self)


def _without_content(text: str) -> str:
    """The official client quotes whole entries of the kubeconfig, tokens and all, in its messages."""
    line = re.sub(r"/?\{.*\}", "", " ".join(text.split()), flags=re.DOTALL)
    return re.sub(r"^(Invalid kube-config( file)?\. |exec: )", "", line).rstrip(".")[:200]
