"""``python -m seatrial docs``: writes the pages that are generated, so that nothing is typed twice."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterable, Iterator
from pathlib import Path

from seatrial import rbac
from seatrial.checks import Check
from seatrial.expectations import CLOUDS
from seatrial.gpu.vendors import TABLE as TABLE_OF_VENDORS
from seatrial.model_engine.rights import BY_SETTING, RIGHTS
from seatrial.permissions import Place, wanted
from seatrial.rbac import Used
from seatrial.runbook import BEYOND, DELIVERED, STEPS
from seatrial.settings import TABLE

ROOT = Path(__file__).parent.parent
MODULES, LIBRARIES = ROOT / "docs" / "modules.md", ("fixtures", "seatrial")
CHECKS, SETTINGS, RBAC = ROOT / "docs" / "checks.md", ROOT / "docs" / "settings.md", ROOT / "docs" / "rbac.yaml"
README = ROOT / "README.md"
_BEGIN, _END = "<!-- written by python -m seatrial docs -->", "<!-- to here -->"
PHASES = {
    "preflight": "what the product will stand on",
    "infra": "its parts, each at work",
    "control_plane": "the gateway",
    "tier_a": "echo endpoints on CPUs",
    "tier_b": "LLM endpoints on GPUs",
}
"""What each phase judges, for README."""

_HEAD = """\
# The checks

Generated from the docstrings in `tests/` by `python -m seatrial docs`: edit those, not this page. A check's id is its
phase (the module) and its name. *Runbook* is the step that it automates of R0: the requirement document with the smoke
tests of Model Engine, a list of commands to type, which this suite follows and does not bring with it. You need not
have it: the table at the end has its steps by name. "Beyond R0" is what it does not ask for.
"""


def checks() -> Iterator[Check]:
    """Every check in `tests/`, in the order of its file, read without running anything."""
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield Check.documented(f"tests/{path.name}::{node.name}", ast.get_docstring(node) or "")


_SETTINGS_HEAD = """\
# The settings

Generated from the table in `seatrial/settings.py` by `python -m seatrial docs`. A value comes from, strongest first:
the command line, the environment, `seatrial.yaml`, the helm values given with `--values`, what is found in the cluster,
the default. `python -m seatrial doctor` shows every value and where it came from. Durations are in seconds.

Write files with `=`: `--settings=FILE`, `--values=FILE`. Beside a path that stands alone pytest looks for a
configuration of its own, and then knows no option of ours ("unrecognized arguments").

`expect` declares: expected and absent is a failure, of the checks that look for it, where they are selected. Cloud,
product and number of GPUs are looked for by `target_is_as_declared` of `preflight`, the cloud also by every check of it
alone, the registries by `images_are_from_expected_registries`, GPUs also by the checks of GPU nodes and by `tier_b`.
A run of `-m control_plane` judges none of them.

After an install a pod asks Redis, SQS and Service Bus where the release itself says that they are: a variable of the
environment that says otherwise (`REDIS_HOST`, `AWS_REGION` …) may be meant for other programs, and is a warning. On the
command line or in `seatrial.yaml` it is meant: that Redis is asked, with a warning, and another region of SQS or
namespace of Service Bus than the release's is a failure.

```yaml
# seatrial.yaml, in the directory that pytest is run from, or named with --settings=FILE
endpoint_ready_timeout: 900
expect: {cloud: aws, gpu: none, registries: [registry.example]}    # what must be there
overlays:                      # JSON merge patches on what is in payloads/; lists of named things merge by name
  probe/pod:
    metadata: {labels: {team: infra}}
    spec: {tolerations: [{key: pool, operator: Exists}], imagePullSecrets: [{name: mirror}]}
targets:                       # pytest --target prod
  prod:
    context: prod-admin
    auth_token_command: [vault, read, -field=token, secret/model-engine]
```
"""


def settings() -> str:
    """The page of settings."""
    lines = [_SETTINGS_HEAD, "| setting | means | default | environment |", "|---|---|---|---|"]
    for name, spec in TABLE.items():
        default = "" if spec.default in (None, {}) else f"`{spec.default}`"
        lines.append(f"| `{name}` | {spec.help} | {default} | {f'`{spec.env}`' if spec.env else ''} |")
    return "\n".join([*lines, _VENDORS_HEAD, *_vendors(), "", *_labels()]) + "\n"


_VENDORS_HEAD = """
## The vendors of GPUs, and how nodes are marked

`seatrial/gpu/vendors.yaml`, which explains its fields. What stands in `gpu_vendors` is laid over it as a merge patch:
```yaml
gpu_vendors:
  nvidia:
    labels:                                      # another way to mark nodes; type: its value names the type
      cloud.example/gpu: {values: "nvidia-.*", by: our cloud, type: true}
      accelerator: null                          # this one means something else here
    taints: [nvidia.com/gpu, dedicated]
```
"""


def _vendors() -> Iterator[str]:
    yield "| vendor | GPUs are offered as | and in parts as | operators | taints that are expected |"
    yield "|---|---|---|---|---|"
    for row in TABLE_OF_VENDORS:
        operators, taints = ", ".join(one.name for one in row.operators), ", ".join(f"`{one}`" for one in row.taints)
        parts = row.resources.pattern.replace("|", "\\|")
        yield f"| `{row.key}` | `{row.resource}` | `{parts}` | {operators} | {taints} |"


def _labels() -> Iterator[str]:
    yield "| label | set by | a sign of | its values | names the type |"
    yield "|---|---|---|---|---|"
    for row in TABLE_OF_VENDORS:
        for one in row.labels:
            sign = row.name if one.alone else f"{row.name}, not alone"
            values = "any" if one.values.pattern == ".*" else f"`{one.values.pattern}`"
            yield f"| `{one.key}` | {one.by} | {sign} | {values} | {'yes' if one.type else ''} |"


def page() -> str:
    """The page of checks."""
    every = list(checks())
    lines = [_HEAD]
    for phase in dict.fromkeys(check.phase for check in every):
        lines += [f"## {phase}", ""]
        for check in (one for one in every if one.phase == phase):
            lines += [
                f"### {check.id}",
                "",
                f"{check.claim}",
                "",
                f"*Runbook*: {check.runbook}. *Hint*: {check.hint}",
                "",
            ]
    lines += ["## The runbook, step by step", "", "| step | what | checks |", "|---|---|---|"]
    for step, what in STEPS.items():
        found = [f"`{check.id}`" for check in every if check.runbook == f"R0 {step}"]
        lines.append(f"| {step} | {what} | {', '.join(found) if step in DELIVERED else 'to come'} |")
    return "\n".join(lines) + "\n"


def roles() -> str:
    """What a run of everything needs, in the namespaces that the chart's documentation has."""
    places = {Place.RELEASE: "model-engine", Place.ENDPOINTS: "model-engine-endpoints", Place.CLUSTER: ""}
    rights = {Used.of(one.asked) for one in wanted(RIGHTS, RIGHTS.keys() - BY_SETTING, places)}
    what = "What a full run needs; python -m seatrial rbac prints what one of yours did. Put in your own namespaces."
    return rbac.roles(rights, bound_in=places[Place.RELEASE], what=what)


def readme() -> str:
    """README with its tables of phases, markers and clouds as the source has them."""
    before, _, rest = README.read_text(encoding="utf-8").partition(f"{_BEGIN}\n")
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n" + "\n".join([*_phases(), "", *_markers(), "", *_clouds()]) + f"\n{_END}{after}"


def _phases() -> Iterator[str]:
    every = list(checks())
    yield "| `-m` | judges | checks | steps of the runbook |"
    yield "|---|---|---|---|"
    for phase, what in PHASES.items():
        here = [one for one in every if one.phase == phase]
        steps = sorted({one.runbook.removeprefix("R0 ") for one in here} - {BEYOND})
        if here:
            yield f"| `{phase}` | {what} | {len(here)} | {', '.join(steps)} |"


def _markers() -> Iterator[str]:
    carry = marks()
    yield "| marker | of a check that | checks |"
    yield "|---|---|---|"
    config = configparser.ConfigParser()
    config.read(ROOT / "pytest.ini", encoding="utf-8")
    for line in filter(None, config["pytest"]["markers"].splitlines()):
        name, _, meaning = line.partition(": ")
        yield f"| `{name}` | {meaning} | {sum(name in found for found in carry.values()) or 'none yet'} |"


def _clouds() -> Iterator[str]:
    carry = marks()
    yield "| cloud | checks of it alone | its labels of GPU nodes |"
    yield "|---|---|---|"
    for cloud in CLOUDS:
        own = [f"`{check.partition('/')[2]}`" for check, found in carry.items() if cloud in found]
        labels = dict.fromkeys(f"`{one.key}`" for row in TABLE_OF_VENDORS for one in row.labels if one.cloud == cloud)
        yield f"| `{cloud}` | {', '.join(own) or 'none'} | {', '.join(labels) or 'those of the operators'} |"


def marks() -> dict[str, frozenset[str]]:
    """The markers of each check, by its id: those typed at it, and its module's."""
    found = {}
    for path in sorted((ROOT / "tests").glob("test_*.py")):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        of_all = [name for node in body for name in _of_module(node)]
        for node in body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                check = Check.documented(f"tests/{path.name}::{node.name}", "").id
                found[check] = frozenset([*of_all, *_named(node.decorator_list)])
    return found


def _of_module(node: ast.stmt) -> Iterator[str]:
    """The markers that ``pytestmark = ...`` gives to a whole module: one, or a list."""
    if isinstance(node, ast.Assign) and [ast.unparse(one) for one in node.targets] == ["pytestmark"]:
        yield from _named(node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value])


def _named(typed: Iterable[ast.expr]) -> Iterator[str]:
    for one in typed:
        plain = one.func if isinstance(one, ast.Call) else one
        if isinstance(plain, ast.Attribute):
            yield plain.attr


_MODULES_HEAD = """\
# The modules

Generated from the first line of each module by `python -m seatrial docs`: edit those, not this page. How they belong
together stands in [design.md](design.md#where-things-are).
"""


def modules() -> str:
    """The page of modules: every one of the library and of the fixtures, by its folder."""
    lines = [_MODULES_HEAD]
    every = [path for folder in LIBRARIES for path in sorted((ROOT / folder).rglob("*.py"))]
    for folder in dict.fromkeys(path.parent for path in every):
        here = [path for path in every if path.parent == folder]
        lines += [f"## {folder.relative_to(ROOT)}/", "", "| module | |", "|---|---|"]
        lines += [f"| [{path.stem}](../{path.relative_to(ROOT)}) | {_first_line(path)} |" for path in here]
        lines.append("")
    return "\n".join(lines)


def _first_line(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return said.partition("\n")[0].replace("``", "`").replace("|", "\\|")


def write() -> int:
    """Write all pages; the exit code."""
    for path, text in PAGES.items():
        path.write_text(text(), encoding="utf-8")
        print(f"{path.relative_to(ROOT)} is written")
    return 0


PAGES = {CHECKS: page, SETTINGS: settings, RBAC: roles, MODULES: modules, README: readme}
"""What is generated, and what makes its text; of README.md it is the tables."""
WRITTEN = ", ".join(str(path.relative_to(ROOT)) for path in PAGES)
