"""What an operator decides, read from `node.toml` into one frozen value.

Reading is strict: a key that is not known is refused, with the name that was perhaps meant; every
mistake is one sentence with the file, the key and the remedy. Paths are relative to the file.
Secrets never stand here: the keystore's password comes from a file or from the environment, a
database's password from the environment (`scatter.cli` reads it).
"""

import re
import tomllib
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from scatter.adapters.content import QUOTA_BYTES
from scatter.adapters.sandbox.built_runtime import PinnedRuntime, read_pin
from scatter.mechanism.errors import BadInput
from scatter.mechanism.units import BasisPoints, Digest, Seconds, Tokens
from scatter.node.amounts import HostPort, read_host_port, read_score, read_tokens
from scatter.node.settings_file import Table
from scatter.ports.addresses import check_gateway, read_dial_address, read_endpoint
from scatter.ports.sandbox import Isolation, Limits
from scatter.roles.duty import Approval
from scatter.unixfs.cid import folder_digest

CONFIG_NAME = "node.toml"
MOST_CONFIG_BYTES = 256 << 10

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\Z", re.ASCII)
_TOPIC = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z", re.ASCII)

_HTTP = HostPort("127.0.0.1", 8460)
_GATEWAY = HostPort("127.0.0.1", 8461)
_NOTHING = Tokens(0)
_LONGEST_TRAINING = Seconds(14 * 86_400)
_TURN = Seconds(4)
_RETRY = Seconds(2)
_AT_ONCE = Seconds(0)
_KEYS = BasisPoints(5_000)


class RoleName(StrEnum):
    """A role that a node can take."""

    REQUESTER = "requester"
    TRAINER = "trainer"
    VALIDATOR = "validator"
    CHALLENGER = "challenger"


class JoinPolicy(StrEnum):
    """Whether a trainer joins jobs of a topic by itself."""

    UNASKED = "unasked"
    ASKED = "asked"


class Order(StrEnum):
    """Who goes first into the sandbox."""

    FIFO = "fifo"
    """Who came first."""
    REWARD = "reward"
    """Whose job offers the larger reward; among equals, who came first."""


class LogFormat(StrEnum):
    """How the node writes its log to stderr."""

    CONSOLE = "console"
    JSON = "json"


@dataclass(frozen=True)
class TopicSettings:
    """`[[trainer.topics]]`: data for a topic, and the terms on which this trainer joins."""

    topic: str
    data: Path
    stake: Tokens
    least_reward: Tokens = _NOTHING
    longest_training: Seconds = _LONGEST_TRAINING
    join: JoinPolicy = JoinPolicy.UNASKED


@dataclass(frozen=True)
class HttpSettings:
    """`[http]`: the operator's interface."""

    listen: HostPort = _HTTP
    allow_remote: bool = False
    token_file: Path = Path("token")


@dataclass(frozen=True)
class GatewaySettings:
    """`[gateway]`: where others fetch what this node published."""

    listen: HostPort = _GATEWAY
    public: str = ""
    """The base address as others reach it; by default the address listened on."""


@dataclass(frozen=True)
class PeersSettings:
    """`[peers]`: this node among the others."""

    listen: str = "/ip4/127.0.0.1/tcp/8462"
    """A libp2p multiaddress; port 0 lets the system choose."""
    announce: tuple[str, ...] = ()
    """Where others dial, if not where this node listens; needed when that is all interfaces."""
    bootstrap: tuple[str, ...] = ()
    """libp2p multiaddresses that end in /p2p/ID, at most 16."""
    exchange_seconds: float = 5.0


@dataclass(frozen=True)
class SandboxSettings:
    """`[sandbox]`: whose jobs run, on what, with how much."""

    minimum: Isolation = Isolation.GUEST_KERNEL
    trusted_jobs: tuple[Digest, ...] = ()
    caps: Limits = field(default_factory=Limits)
    backend: str = ""
    """The only one wanted; empty takes the strongest that runs here."""
    approve: Approval = Approval.NEVER
    runtimes: tuple[PinnedRuntime, ...] = ()
    """Allowed beside the node's own interpreter."""
    gpus: bool = False
    """Whether jobs see the machine's GPUs."""


@dataclass(frozen=True)
class TimingSettings:
    """`[timing]`: how patient the node is."""

    poll_seconds: float = 1.0
    turn: Seconds = _TURN
    retry: Seconds = _RETRY
    keys: BasisPoints = _KEYS
    accuse: Seconds = _AT_ONCE
    """A challenger's wait before it accuses."""


@dataclass(frozen=True)
class Config:
    """One node, as `node.toml` describes it. All paths are absolute."""

    name: str
    data: Path
    roles: frozenset[RoleName]
    deployment: Path
    keystore: Path
    rpc: str = ""
    """Overrides the endpoint of the deployment file; empty takes that one."""
    password_file: Path | None = None
    confirmations: int = 2
    log: LogFormat = LogFormat.CONSOLE
    http: HttpSettings = field(default_factory=HttpSettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    peers: PeersSettings = field(default_factory=PeersSettings)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    store: str = ""
    """A database URL without password; empty is SQLite in the data folder."""
    quota_bytes: int = QUOTA_BYTES
    """What the blocks of others take on the disk, at most."""
    concurrency: int = 1
    """How many jobs run in the sandbox at once."""
    order: Order = Order.FIFO
    topics: tuple[TopicSettings, ...] = ()
    timing: TimingSettings = field(default_factory=TimingSettings)


def read_config(file: Path) -> Config:
    """Reads and checks a whole `node.toml`.

    Raises BadInput, one sentence: what is wrong, in which file and key, and what to do.
    """
    file = file.absolute()
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise BadInput(f"{file} does not exist; make one with `scatter node init`") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}") from None
    if len(raw) > MOST_CONFIG_BYTES:
        raise BadInput(f"{file} is larger than {MOST_CONFIG_BYTES} bytes; it is no node.toml")
    try:
        content = tomllib.loads(raw.decode())
    except UnicodeDecodeError:
        raise BadInput(f"{file} is not UTF-8 text; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{file} is not TOML: {error}") from None
    return _config(Table(file, "", content))


def _config(top: Table) -> Config:
    node = top.table("node")
    concurrency, order = _queue(top.table("queue"))
    config = Config(
        name=node.text("name", matching=_NAME, like="trainer-1"),
        data=node.path("data", "data"),
        roles=_roles(node),
        deployment=node.path("deployment"),
        rpc=_web_address(node, "rpc"),
        keystore=node.path("keystore", "keystore.json"),
        password_file=node.optional_path("password_file"),
        confirmations=node.integer("confirmations", 2, 0, 64),
        log=node.choice("log", LogFormat, LogFormat.CONSOLE),
        http=_http(top.table("http")),
        gateway=_gateway(top.table("gateway")),
        peers=_peers(top.table("peers")),
        sandbox=_sandbox(top.table("sandbox")),
        store=_store_url(top.table("store")),
        quota_bytes=_quota(top.table("content")),
        concurrency=concurrency,
        order=order,
        topics=_topics(top.table("trainer")),
        timing=_timing(top.table("timing")),
    )
    node.refuse_unknown()
    top.refuse_unknown()
    if config.topics and RoleName.TRAINER not in config.roles:
        raise top.mistake("trainer", 'has topics, but node.roles lacks "trainer"; add it there')
    return config


def _roles(node: Table) -> frozenset[RoleName]:
    roles = frozenset(node.choices("roles", RoleName))
    if not roles:
        raise node.mistake("roles", 'is empty; name at least one role, such as ["trainer"]')
    alone = roles & {RoleName.VALIDATOR, RoleName.CHALLENGER}
    if alone and len(roles) > 1:
        raise node.mistake(
            "roles",
            f'has "{min(alone)}" beside another role, but an account with a role stake can neither '
            "create nor join jobs; run one node for each",
        )
    return roles


def _web_address(table: Table, key: str) -> str:
    url = table.text(key, "")
    if url:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable or "@" in url:
            raise table.mistake(key, "must be an http:// or https:// address without a password")
    return url.rstrip("/")


def _host_port(table: Table, default: HostPort) -> HostPort:
    text = table.text("listen", str(default))
    try:
        return read_host_port(text)
    except BadInput as error:
        raise table.mistake("listen", str(error)) from None


def _http(table: Table) -> HttpSettings:
    default = HttpSettings()
    settings = HttpSettings(
        listen=_host_port(table, default.listen),
        allow_remote=table.boolean("allow_remote", default.allow_remote),
        token_file=table.path("token_file", str(default.token_file)),
    )
    table.refuse_unknown()
    if not settings.listen.is_loopback and not settings.allow_remote:
        raise table.mistake(
            "listen",
            f"is {settings.listen}, which other machines reach, and the token would travel in the "
            "clear; listen on 127.0.0.1, or set allow_remote = true behind a proxy with TLS",
        )
    return settings


def _gateway(table: Table) -> GatewaySettings:
    listen = _host_port(table, GatewaySettings().listen)
    settings = GatewaySettings(listen, table.text("public", "").rstrip("/"))
    table.refuse_unknown()
    try:
        check_gateway(settings.public)
    except BadInput as error:
        raise table.mistake("public", str(error)) from None
    return settings


def _peers(table: Table) -> PeersSettings:
    default = PeersSettings()
    settings = PeersSettings(
        listen=table.text("listen", default.listen),
        announce=tuple(table.texts("announce", most=8)),
        bootstrap=tuple(table.texts("bootstrap", most=16)),
        exchange_seconds=table.number("exchange_seconds", default.exchange_seconds, 0.1, 3_600),
    )
    table.refuse_unknown()
    try:
        read_endpoint(settings.listen, unbound=True)
    except BadInput as error:
        raise table.mistake("listen", str(error)) from None
    for address in settings.announce:
        try:
            read_endpoint(address, unbound=True)
        except BadInput as error:
            raise table.mistake("announce", str(error)) from None
    for address in settings.bootstrap:
        try:
            read_dial_address(address)
        except BadInput as error:
            raise table.mistake("bootstrap", str(error)) from None
    return settings


def _sandbox(table: Table) -> SandboxSettings:
    names = {level.name.lower().replace("_", "-"): level for level in Isolation}
    minimum = table.text("minimum", "guest-kernel")
    if minimum not in names:
        raise table.mistake("minimum", f"must be one of {', '.join(sorted(names))}")
    trusted = []
    for cid in table.texts("trusted_jobs", most=1_000):
        try:
            trusted.append(folder_digest(cid))
        except BadInput as error:
            raise table.mistake("trusted_jobs", f"has {cid!r}: {error}") from None
    backend = table.text("backend", "")
    approve = table.choice("approve", Approval, Approval.NEVER)
    runtimes = _runtimes(table)
    gpus = table.boolean("gpus", False)
    caps = _caps(table)
    table.refuse_unknown()
    return SandboxSettings(names[minimum], tuple(trusted), caps, backend, approve, runtimes, gpus)


def _runtimes(table: Table) -> tuple[PinnedRuntime, ...]:
    pins = []
    for text in table.texts("runtimes", most=16):
        try:
            pins.append(read_pin(text, table.folder))
        except BadInput as error:
            raise table.mistake("runtimes", f"has an entry that cannot be used: {error}") from None
    names = [pin.name for pin in pins]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise table.mistake("runtimes", f'names "{twice[0]}" twice; keep one of each name')
    return tuple(pins)


def _caps(table: Table) -> Limits:
    default = Limits()

    def megabytes(key: str, normal: int, least: int) -> int:
        return table.integer(key, normal >> 20, least, 1 << 20) << 20

    return Limits(
        wall_seconds=table.integer("wall_seconds", default.wall_seconds, 1, 14 * 86_400),
        cpus=table.integer("cpus", default.cpus, 1, 1_024),
        memory_bytes=megabytes("memory_megabytes", default.memory_bytes, 64),
        processes=table.integer("processes", default.processes, 8, 1 << 16),
        open_files=table.integer("open_files", default.open_files, 64, 1 << 16),
        scratch_bytes=megabytes("scratch_megabytes", default.scratch_bytes, 1),
        output_bytes=megabytes("output_megabytes", default.output_bytes, 1),
        output_files=table.integer("output_files", default.output_files, 2, 1 << 12),
    )


def _store_url(table: Table) -> str:
    url = table.text("url", "")
    table.refuse_unknown()
    if re.match(r"[^:/]+://[^/@]*:[^/@]*@", url):
        raise table.mistake("url", "holds a password; leave it out and set PGPASSWORD instead")
    if url and not url.startswith(("sqlite:", "postgresql")):
        raise table.mistake("url", "must begin with postgresql:// or sqlite:, or be left out")
    return url


def _quota(table: Table) -> int:
    gigabytes = table.integer("quota_gigabytes", QUOTA_BYTES >> 30, 1, 1 << 20)
    table.refuse_unknown()
    return gigabytes << 30


def _queue(table: Table) -> tuple[int, Order]:
    concurrency = table.integer("concurrency", 1, 1, 64)
    order = table.choice("order", Order, Order.FIFO)
    table.refuse_unknown()
    return concurrency, order


def _topics(table: Table) -> tuple[TopicSettings, ...]:
    topics = tuple(_topic(entry) for entry in table.tables("topics", most=256))
    table.refuse_unknown()
    names = [topic.topic for topic in topics]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise table.mistake("topics", f'names "{twice[0]}" twice; keep one entry per topic')
    return topics


def _topic(table: Table) -> TopicSettings:
    topic = table.text("topic", matching=_TOPIC, like="digits")
    if len(topic) > 64:
        raise table.mistake("topic", "is longer than 64 letters; shorten it")
    settings = TopicSettings(
        topic=topic,
        data=table.path("data"),
        stake=_amount(table, "stake"),
        least_reward=_amount(table, "least_reward", "0"),
        longest_training=Seconds(int(table.number("longest_training_hours", 336, 0, 336) * 3_600)),
        join=table.choice("join", JoinPolicy, JoinPolicy.UNASKED),
    )
    table.refuse_unknown()
    if not settings.stake:
        raise table.mistake("stake", "is 0; a trainer stakes at least one unit on a job")
    return settings


def _amount(table: Table, key: str, default: str | None = None) -> Tokens:
    text = table.amount(key, default)
    try:
        return read_tokens(text)
    except BadInput as error:
        raise table.mistake(key, str(error)) from None


def _timing(table: Table) -> TimingSettings:
    default = TimingSettings()
    share = table.amount("keys_share", "0.5")
    try:
        keys = BasisPoints(read_score(share))
    except BadInput:
        raise table.mistake(
            "keys_share", 'must be a share from "0" to "1", such as "0.5"'
        ) from None
    settings = TimingSettings(
        poll_seconds=table.number("poll_seconds", default.poll_seconds, 0.1, 60),
        turn=Seconds(table.integer("turn_seconds", default.turn, 0, 3_600)),
        retry=Seconds(table.integer("retry_seconds", default.retry, 1, 3_600)),
        keys=keys,
        accuse=Seconds(table.integer("accuse_after_seconds", default.accuse, 0, 86_400)),
    )
    table.refuse_unknown()
    return settings
