"""Where Terraform gets the AWS provider from, without a change of the user's configuration.

The first of: TF_PROVIDER_MIRROR; the user's own CLI configuration; a filesystem mirror with the version that the
environments pin, in one of Terraform's implied mirror directories or in a folder of /opt; the registry.
"""

import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.console import BUILD, ROOT, CommandError

CONFIG = BUILD / "terraform" / "cli.tfrc"
CACHE = BUILD / "terraform" / "plugins"
ENVIRONMENTS = ROOT / "terraform" / "environments"
PROVIDER = "hashicorp/aws"
SEARCHED = Path("/opt")

_PINNED = re.compile(rf'source\s*=\s*"{PROVIDER}"\s*version\s*=\s*"=?\s*(\d+\.\d+\.\d+)"')


def provider_env(base: Mapping[str, str], *, host: str, environments: Path = ENVIRONMENTS) -> dict[str, str]:
    """`base` with the variables that make `init` find the AWS provider.

    Args:
        base: an environment.
        host: the registry's host name, which is also the mirror's first folder.
        environments: the folder whose files pin the provider's version.

    Raises:
        CommandError: TF_PROVIDER_MIRROR is set and has no such provider, or no version is pinned.
    """
    env = dict(base)
    config = env.get("TF_CLI_CONFIG_FILE")
    if config and not Path(config).is_file():
        del env["TF_CLI_CONFIG_FILE"]  # the file does not exist: every command would warn
        config = None
    version = pinned_version(environments)
    explicit = env.get("TF_PROVIDER_MIRROR")
    if explicit:
        mirror: Path | None = (named := Path(explicit).expanduser().resolve())
        if not _has_provider(named, host, version):
            raise CommandError(
                f"TF_PROVIDER_MIRROR={explicit} has no {host}/{PROVIDER} {version} for {_platform()}: "
                "correct it, or unset it to use the registry"
            )
    elif config or any(Path(name).expanduser().is_file() for name in ("~/.terraformrc", "~/.tofurc")):
        return env
    else:
        mirror = next((place for place in _places(env) if _has_provider(place, host, version)), None)
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


def pinned_version(environments: Path) -> str:
    """The AWS provider's version, which all environments pin exactly.

    Raises:
        CommandError: they pin none, or different ones.
    """
    texts = (path.read_text(encoding="utf-8") for path in environments.glob("*/*.tf"))
    versions: list[str] = sorted({version for text in texts for version in _PINNED.findall(text)})
    if len(versions) != 1:
        raise CommandError(
            f"{environments}/*/*.tf must pin one version of {PROVIDER}, not {' and '.join(versions) or 'none'}"
        )
    return versions[0]


def _places(env: Mapping[str, str]) -> Iterator[Path]:
    """The folders that Terraform searches without a CLI configuration, then every folder of /opt.

    https://developer.hashicorp.com/terraform/cli/config/config-file#implied-local-mirror-directories
    """
    yield Path("~/.terraform.d/plugins").expanduser()
    if platform.system() == "Darwin":
        yield Path("~/Library/Application Support/io.terraform/plugins").expanduser()
        yield Path("/Library/Application Support/io.terraform/plugins")
    else:
        data = [env.get("XDG_DATA_HOME") or "~/.local/share"]
        data += (env.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
        yield from (Path(folder).expanduser() / "terraform" / "plugins" for folder in data if folder)
    yield from sorted(SEARCHED.glob("*"))


def _has_provider(mirror: Path, host: str, version: str) -> bool:
    """Whether a mirror has this version for this platform, in one of Terraform's two layouts."""
    folder = mirror / host / PROVIDER
    unpacked = folder / version / _platform()
    return unpacked.is_dir() or (folder / f"terraform-provider-aws_{version}_{_platform()}.zip").is_file()


def _platform() -> str:
    machine = platform.machine().lower()
    known = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    return f"{platform.system().lower()}_{known.get(machine, machine)}"


def _configuration(mirror: Path, provider: str) -> str:
    return f"""\
# Written by scripts/deployment/provider_mirror.py. TF_PROVIDER_MIRROR, or a CLI configuration of your own, replaces it.
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
