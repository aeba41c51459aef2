"""Pod Security admission: what the levels ``baseline`` and ``restricted`` refuse, in the words of 1.36."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sandbox.kube.errors import forbidden
from sandbox.kube.objects import Object, get
from sandbox.kube.resources import PODS

LEVEL, VERSION = "pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/enforce-version"
BASELINE_CAPABILITIES = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
    *("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
RESTRICTED_CAPABILITIES = {"NET_BIND_SERVICE"}
RESTRICTED_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image"),
    *("persistentVolumeClaim", "projected", "secret"),
}
SECCOMP = ("RuntimeDefault", "Localhost")

Check = Callable[[Object], str]  # of a pod spec: what is wrong, or nothing


def check(namespace: Object, pod: Object) -> None:
    """403 for a pod that the namespace's level does not let in."""
    labels = namespace["metadata"].get("labels") or {}
    level = labels.get(LEVEL, "privileged")
    found = [text for text in (look(pod["spec"]) for look in CHECKS.get(level, ())) if text]
    if found:
        policy = f"{level}:{labels.get(VERSION, 'latest')}"
        raise forbidden(PODS, pod["metadata"]["name"], f'violates PodSecurity "{policy}": {", ".join(found)}')


def _containers(spec: Object) -> Iterator[Object]:
    yield from spec.get("initContainers") or []
    yield from spec["containers"]


def _names(spec: Object, bad: Callable[[Object], Any]) -> list[str]:
    return [item["name"] for item in _containers(spec) if bad(item)]


def _quoted(noun: str, names: list[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return f"{noun if len(names) == 1 else noun + 's'} {listed}"


def _host_namespaces(spec: Object) -> str:
    used = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return f"host namespaces ({', '.join(used)})" if used else ""


def _host_paths(spec: Object) -> str:
    names = [volume["name"] for volume in spec.get("volumes") or [] if "hostPath" in volume]
    return f"hostPath volumes ({_quoted('volume', names)})" if names else ""


def _host_ports(spec: Object) -> str:
    names = _names(spec, lambda item: any(port.get("hostPort") for port in item.get("ports") or []))
    if not names:
        return ""
    ports = {port["hostPort"] for item in _containers(spec) for port in item.get("ports") or [] if port.get("hostPort")}
    uses = "uses" if len(names) == 1 else "use"
    listed = ", ".join(map(str, sorted(ports)))
    return f"hostPort ({_quoted('container', names)} {uses} {'hostPort' if len(ports) == 1 else 'hostPorts'} {listed})"


def _privileged(spec: Object) -> str:
    names = _names(spec, lambda item: get(item, "securityContext.privileged"))
    return f"privileged ({_quoted('container', names)} must not set securityContext.privileged=true)" if names else ""


def _added(spec: Object, allowed: set[str]) -> str:
    def beyond(item: Object) -> list[str]:
        return [name for name in get(item, "securityContext.capabilities.add", []) if name not in allowed]

    names = _names(spec, beyond)
    if not names:
        return ""
    added = sorted({name for item in _containers(spec) for name in beyond(item)})
    listed = ", ".join(f'"{name}"' for name in added)
    return f"{_quoted('container', names)} must not include {listed} in securityContext.capabilities.add"


def _capabilities(spec: Object) -> str:
    added = _added(spec, BASELINE_CAPABILITIES)
    return f"non-default capabilities ({added})" if added else ""


def _escalation(spec: Object) -> str:
    names = _names(spec, lambda item: get(item, "securityContext.allowPrivilegeEscalation") is not False)
    must = "must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({_quoted('container', names)} {must})" if names else ""


def _restricted_capabilities(spec: Object) -> str:
    keeping = _names(spec, lambda item: "ALL" not in get(item, "securityContext.capabilities.drop", []))
    must = 'must set securityContext.capabilities.drop=["ALL"]'
    kept = f"{_quoted('container', keeping)} {must}" if keeping else ""
    wrong = [text for text in (kept, _added(spec, RESTRICTED_CAPABILITIES)) if text]
    return f"unrestricted capabilities ({'; '.join(wrong)})" if wrong else ""


def _volumes(spec: Object) -> str:
    kinds = {volume["name"]: next(key for key in volume if key != "name") for volume in spec.get("volumes") or []}
    bad = {name: kind for name, kind in kinds.items() if kind not in RESTRICTED_VOLUMES}
    if not bad:
        return ""
    types = sorted(set(bad.values()))
    verb = "uses" if len(bad) == 1 else "use"
    return f"restricted volume types ({_quoted('volume', list(bad))} {verb} {_quoted('restricted volume type', types)})"


def _run_as_non_root(spec: Object) -> str:
    of_pod = get(spec, "securityContext.runAsNonRoot")
    own = {item["name"]: get(item, "securityContext.runAsNonRoot") for item in _containers(spec)}
    refused = [name for name, value in own.items() if value is False]
    wrong = ["pod must not set securityContext.runAsNonRoot=false"] if of_pod is False else []
    if refused:
        wrong.append(f"{_quoted('container', refused)} must not set securityContext.runAsNonRoot=false")
    unset = [name for name, value in own.items() if value is None]
    if unset and not of_pod and not wrong:
        wrong.append(f"pod or {_quoted('container', unset)} must set securityContext.runAsNonRoot=true")
    return f"runAsNonRoot != true ({'; '.join(wrong)})" if wrong else ""


def _run_as_user(spec: Object) -> str:
    names = _names(spec, lambda item: get(item, "securityContext.runAsUser") == 0)
    wrong = ["pod"] if get(spec, "securityContext.runAsUser") == 0 else []
    wrong += [_quoted("container", names)] if names else []
    return f"runAsUser=0 ({' and '.join(wrong)} must not set runAsUser=0)" if wrong else ""


def _seccomp(spec: Object) -> str:
    of_pod = get(spec, "securityContext.seccompProfile.type")
    own = {item["name"]: get(item, "securityContext.seccompProfile.type") for item in _containers(spec)}
    bad = [name for name, value in own.items() if value not in (None, *SECCOMP)]
    subjects = ["pod"] if of_pod not in (None, *SECCOMP) else []
    subjects += [_quoted("container", bad)] if bad else []
    if subjects:
        values = sorted({value for value in (of_pod, *own.values()) if value not in (None, *SECCOMP)})
        listed = ", ".join(f'"{value}"' for value in values)
        return f"seccompProfile ({' and '.join(subjects)} must not set securityContext.seccompProfile.type to {listed})"
    unset = [name for name, value in own.items() if value is None]
    if unset and of_pod is None:
        must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        return f"seccompProfile (pod or {_quoted('container', unset)} {must})"
    return ""


# In the order in which the real refusal lists them; each level has stricter forms of some checks of the one below.
CHECKS: dict[str, tuple[Check, ...]] = {
    "baseline": (_capabilities, _host_namespaces, _host_paths, _host_ports, _privileged),
    "restricted": (
        _host_namespaces,
        _host_ports,
        _privileged,
        _escalation,
        _restricted_capabilities,
        _volumes,
        _run_as_non_root,
        _run_as_user,
        _seccomp,
    ),
}
