"""A way to a Service from outside the cluster: a local port, and for each connection to it a stream to a ready pod."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

from seatrial.channels import PROTOCOL, Channels
from seatrial.closing import Closing
from seatrial.kube import ApiError, Kube, NotFound
from seatrial.resources import ENDPOINT_SLICES, PODS, SERVICES, Asked
from seatrial.verdict import Cause, NotJudged, Unhealthy, Unreachable

_DATA, _ERROR = 0, 1
_CHUNK = 1 << 16
_OPENING = 10.0
"""Seconds for the first bytes of a stream, and for one write to a peer that does not read."""


class Forward(Closing):
    """Listens at `url` until closed, and forwards to `port` of a Service.

    Every connection goes to an endpoint that is ready *then*, the one used last if it still is: so an empty Service
    is seen, and a pod that went away is replaced at the next connection. A connection that cannot be forwarded is
    closed at once, and `explain` says why.
    """

    def __init__(self, kube: Kube, service: str, namespace: str, port: int) -> None:
        self._kube, self._service, self._namespace, self._port = kube, service, namespace, port
        self._port_name: str | None = None
        self._pod = ""
        self._trouble: Exception | None = None
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept, name=f"forward to {self}", daemon=True)
        self._acceptor.start()

    def __str__(self) -> str:
        return f"Service {self._namespace}/{self._service}"

    def explain(self) -> None:
        """Raise what kept the last connection from being forwarded, if something did.

        `Unhealthy` for a Service without a ready endpoint or a pod that refuses; `Refused` and `Unreachable` as `Kube`.
        """
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble

    def close(self) -> None:
        """Close the port and every connection through it."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the accept
        self._listener.close()
        self._acceptor.join(_OPENING)
        with self._lock:
            connections = dict(self._open)
        for local, thread in connections.items():
            with contextlib.suppress(OSError):
                local.shutdown(socket.SHUT_RDWR)
            thread.join(_OPENING)

    def _accept(self) -> None:
        while True:
            try:
                local, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(local,), name=f"connection to {self}", daemon=True)
            with self._lock:
                self._open[local] = thread
            thread.start()

    def _serve(self, local: socket.socket) -> None:
        with local:
            local.settimeout(_OPENING)
            try:
                self._forward(local)
            except (ApiError, NotJudged, AssertionError) as error:
                self._trouble = error
            except OSError:
                pass  # one side closed or broke the connection; the other hears of it by our closing
            finally:
                with self._lock:
                    del self._open[local]

    def _forward(self, local: socket.socket) -> None:
        tried = []
        for pod, port in self._endpoints():
            asked = Asked("get", PODS, self._namespace, pod, "portforward")
            try:
                response = self._kube.stream(asked, {"ports": str(port)}, PROTOCOL)
            except (ApiError, Unreachable) as error:  # ready on paper: the pod or its node has just gone
                tried.append(f"pod {pod}: {error}")
                continue
            self._pod, self._trouble = pod, None
            with Channels(response, _OPENING) as stream:
                self._pump(local, stream, pod, port)
            return
        raise Unhealthy(
            Cause(
                f"service.unreachable/{self._namespace}/{self._service}",
                f"{self} has ready endpoints, and none of them can be reached through the API server",
                evidence=tuple(tried),
                do="look at the pods' nodes: the API server reaches a pod through its kubelet",
                look=f"{self._kube.kubectl} -n {self._namespace} port-forward service/{self._service} {self._port}",
            )
        )

    def _pump(self, local: socket.socket, stream: Channels, pod: str, port: int) -> None:
        """Both directions until one side closes."""
        begun = set()
        poll = select.poll()
        poll.register(local, select.POLLIN)
        poll.register(stream, select.POLLIN)
        readable = {stream.fileno()}  # the first two messages may have come together with the answer's head
        while True:
            if stream.fileno() in readable:
                for channel, data in stream.receive():
                    if channel not in begun:
                        begun.add(channel)  # each channel begins with the port's number
                    elif channel == _ERROR:
                        raise self._refused_by(pod, port, data)
                    else:
                        local.sendall(data)
                if stream.ended:
                    return
            if local.fileno() in readable:
                data = local.recv(_CHUNK)
                if not data:
                    return
                stream.send(_DATA, data)
            readable = {fileno for fileno, _ in poll.poll()}

    def _refused_by(self, pod: str, port: int, said: bytes) -> Unhealthy:
        return Unhealthy(
            Cause(
                f"pod.port/{self._namespace}/{pod}",
                f"pod {self._namespace}/{pod} is ready and takes no connection on port {port}",
                evidence=(said.decode(errors="replace").strip()[:300],),
                do="look at what the pod's program listens on",
                look=f"{self._kube.kubectl} -n {self._namespace} logs {pod}",
            )
        )

    def _name_of_port(self) -> str:
        """The name that the Service gives to our port; it stands in the endpoints, too."""
        if self._port_name is None:
            try:
                service = self._kube.get(SERVICES, self._service, self._namespace)
            except NotFound:
                raise Unhealthy(
                    Cause(
                        f"service.missing/{self._namespace}/{self._service}",
                        f"{self} does not exist",
                        do="install it, or correct the namespace",
                        look=f"{self._kube.kubectl} -n {self._namespace} get services",
                    )
                ) from None
            names = {one["port"]: one.get("name", "") for one in service["spec"]["ports"]}
            if self._port not in names:
                raise Unhealthy(
                    Cause(
                        f"service.port/{self._namespace}/{self._service}",
                        f"{self} has no port {self._port}, only {', '.join(map(str, names))}",
                        look=f"{self._kube.kubectl} -n {self._namespace} get service {self._service} -o yaml",
                    )
                )
            self._port_name = names[self._port]
        return self._port_name

    def _endpoints(self) -> list[tuple[str, int]]:
        """(pod, port) of the ready endpoints, the one used last first."""
        name = self._name_of_port()
        ready: dict[str, int] = {}
        others = set()
        selector = f"kubernetes.io/service-name={self._service}"
        for piece in self._kube.list(ENDPOINT_SLICES, self._namespace, labels=selector, empty_ok=True):
            ports = [one["port"] for one in piece.get("ports") or () if (one.get("name") or "") == name]
            for endpoint in piece.get("endpoints") or ():
                target = endpoint.get("targetRef") or {}
                if target.get("kind") != "Pod" or not ports:
                    continue
                if (endpoint.get("conditions") or {}).get("ready", True):
                    ready[target["name"]] = ports[0]
                else:
                    others.add(target["name"])
        if not ready:
            behind = f"not ready: {', '.join(sorted(others))}" if others else "no pod is behind it at all"
            raise Unhealthy(
                Cause(
                    f"service.empty/{self._namespace}/{self._service}",
                    f"{self} has no ready endpoint",
                    evidence=(behind,),
                    do="look at the pods that its selector should match",
                    look=f"{self._kube.kubectl} -n {self._namespace} get endpointslices -l {selector}",
                )
            )
        return sorted(ready.items(), key=lambda one: (one[0] != self._pod, one[0]))
