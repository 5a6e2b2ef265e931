"""Where Terraform gets the AWS provider from, without an edit by the user.

The first of: TF_PROVIDER_MIRROR; the user's own CLI configuration, left alone; a filesystem mirror in one
of the usual places that has a version the environments accept; the registry.
"""

import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from scripts.console import BUILD, ROOT, Failure

CONFIG = BUILD / "terraform" / "cli.tfrc"
CACHE = BUILD / "terraform" / "plugins"
PROVIDER = "hashicorp/aws"
TERRAFORM = ROOT / "terraform"

_PLACES = (
    "~/.terraform.d/*",
    "~/.local/share/terraform/*",
    "~/Library/Application Support/io.terraform/*",
    "/usr/local/share/terraform",
    "/usr/local/share/terraform/*",
    "/usr/share/terraform",
    "/usr/share/terraform/*",
    "/usr/local/share/*",
    "/usr/local/lib/*",
    "/usr/lib/terraform/*",
    "/var/lib/terraform/*",
    "/opt/*",
    "/opt/*/*",
    "/srv/*",
)

Version = tuple[int, ...]


def provider_env(base: Mapping[str, str], *, host: str, terraform: Path = TERRAFORM) -> dict[str, str]:
    """`base` with what makes `init` find the AWS provider.

    Args:
        base: an environment.
        host: the registry's host name, which is also the mirror's first folder.
        terraform: the folder whose files say which versions are accepted.

    Raises:
        Failure: TF_PROVIDER_MIRROR is set and has no provider that fits.
    """
    env = dict(base)
    config = env.get("TF_CLI_CONFIG_FILE")
    if config and not Path(config).is_file():
        del env["TF_CLI_CONFIG_FILE"]  # it would only make every command warn
        config = None
    accepted = constraints(terraform)
    explicit = env.get("TF_PROVIDER_MIRROR")
    if explicit:
        mirror: Path | None = Path(explicit).expanduser().resolve()
        if mirror is None or not _has_provider(mirror, host, accepted):
            wanted = ", ".join(sorted(set(accepted))) or "any version"
            raise Failure(
                f"TF_PROVIDER_MIRROR={explicit} has no {host}/{PROVIDER} ({wanted}) for {_platform()}: "
                "correct it, or unset it to use the registry"
            )
    elif config or any(Path(name).expanduser().is_file() for name in ("~/.terraformrc", "~/.tofurc")):
        return env
    else:
        mirror = next((m for m in _places(env) if _has_provider(m, host, accepted)), None)
    if mirror is None:
        # The provider is some 700 MB: one copy for all environments and module tests.
        CACHE.mkdir(parents=True, exist_ok=True)
        env.setdefault("TF_PLUGIN_CACHE_DIR", str(CACHE))
        env.setdefault("TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE", "1")
        return env
    text = _configuration(mirror, f"{host}/{PROVIDER}")
    if not CONFIG.is_file() or CONFIG.read_text(encoding="utf-8") != text:
        CONFIG.parent.mkdir(parents=True, exist_ok=True)
        CONFIG.write_text(text, encoding="utf-8")
    return env | {"TF_CLI_CONFIG_FILE": str(CONFIG)}


def constraints(folder: Path) -> list[str]:
    """Every version constraint on the AWS provider under a folder; a lock file counts as `= version`."""
    found = []
    for path in folder.rglob("*.tf"):
        if ".terraform" not in path.parts:
            blocks = re.findall(r"\baws\s*=\s*\{([^}]*)\}", path.read_text(encoding="utf-8"))
            for block in blocks:
                if f'"{PROVIDER}"' in block:
                    found += re.findall(r'\bversion\s*=\s*"([^"]+)"', block)
    for path in folder.rglob(".terraform.lock.hcl"):
        locked = rf'provider "[^"]*/{PROVIDER}" \{{\s*version\s*=\s*"([^"]+)"'
        found += [f"= {version}" for version in re.findall(locked, path.read_text(encoding="utf-8"))]
    return found


def satisfies(version: str, constraint: str) -> bool:
    """True when a version like `5.100.0` fits a constraint like `~> 5.90, != 5.95.0`."""
    have = parse_version(version)
    for part in constraint.split(","):
        match = re.fullmatch(r"\s*(=|!=|>=|<=|>|<|~>)?\s*v?(\d+(?:\.\d+)*)\s*", part)
        if match is None:
            return False
        operator, text = match[1] or "=", match[2]
        bound = parse_version(text)
        width = max(len(have), len(bound))
        left, right = _padded(have, width), _padded(bound, width)
        fits = {
            "=": left == right,
            "!=": left != right,
            ">=": left >= right,
            "<=": left <= right,
            ">": left > right,
            "<": left < right,
            "~>": left >= right and have[: max(len(bound) - 1, 1)] == bound[: max(len(bound) - 1, 1)],
        }
        if not fits[operator]:
            return False
    return True


def parse_version(text: str) -> Version:
    """`1.11.4` -> (1, 11, 4); a suffix like `-rc1` is ignored."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _padded(version: Version, width: int) -> Version:
    return version + (0,) * (width - len(version))


def _places(env: Mapping[str, str]) -> Iterator[Path]:
    data = [env.get("XDG_DATA_HOME", ""), *env.get("XDG_DATA_DIRS", "").split(":")]
    for pattern in (*(f"{folder}/terraform/*" for folder in data if folder), *_PLACES):
        path = Path(pattern).expanduser()
        yield from sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def _has_provider(mirror: Path, host: str, accepted: Iterable[str]) -> bool:
    return any(all(satisfies(v, c) for c in accepted) for v in _versions(mirror / host / PROVIDER))


def _versions(folder: Path) -> Iterator[str]:
    """Versions for this platform, in both layouts that Terraform knows: unpacked and packed."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        packed = re.fullmatch(rf"terraform-provider-aws_(.+)_{_platform()}\.zip", entry.name)
        if packed:
            yield packed[1]
        elif (entry / _platform()).is_dir():
            yield entry.name


def _platform() -> str:
    machine = platform.machine().lower()
    known = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    return f"{platform.system().lower()}_{known.get(machine, machine)}"


def _configuration(mirror: Path, provider: str) -> str:
    return f"""\
# Written by scripts/provider_mirror.py. TF_PROVIDER_MIRROR, or a CLI configuration of your own, replaces it.
provider_installation {{
  filesystem_mirror {{
    path    = {_quoted(mirror)}
    include = ["{provider}"]
  }}
  direct {{
    exclude = ["{provider}"]
  }}
}}
"""


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
