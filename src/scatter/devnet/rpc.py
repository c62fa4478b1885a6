"""The JSON-RPC methods of the embedded chain: those that wallets and nodes use.

Errors carry the codes and words of anvil and geth. Everything asked is hostile until parsed, and
requests, batches and answers are bounded; a call may still compute for seconds, so the endpoint
belongs on loopback. Not served: filters, subscriptions, traces, proofs, blobs.
"""

import inspect
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any

from eth.abc import StateAPI
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_typing import Address

from scatter.devnet.answers import (
    Answer,
    show,
    show_block,
    show_receipts,
    show_transaction,
)
from scatter.devnet.chain import EmbeddedChain
from scatter.devnet.execution import Call, Executed, RpcError
from scatter.devnet.faucet import CHAIN_ID
from scatter.devnet.headers import GAS_LIMIT, base_fee

MOST_REQUEST_BYTES = 1 << 20
MOST_BATCH = 200
MOST_BRACKETS = 5_000
"""Of one request: py-evm lifts Python's limit of recursion, so deep JSON would end the process."""
MOST_LOGS = 10_000
MOST_HISTORY = 1_024
"""Blocks of one eth_feeHistory."""
MOST_ALTERNATIVES = 64
MOST_SNAPSHOTS = 1_000
MOST_SHOWN = 1_000
"""Blocks whose receipts are kept as they are answered."""
LATEST_TAGS = ("latest", "safe", "finalized")
INVALID = -32602
TIP = 10**9


class Endpoint:
    """Answers requests about one chain."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self._chain = chain
        self._snapshots: dict[int, int] = {}
        self._next_snapshot = 1
        self._shown: dict[bytes, list[Answer]] = {}
        """Receipts of recent questions, by block hash."""
        self._methods: dict[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: "scatter/embedded/py-evm",
            "net_version": lambda: str(CHAIN_ID),
            "net_listening": lambda: True,
            "eth_chainId": lambda: show(CHAIN_ID),
            "eth_accounts": list,
            "eth_syncing": lambda: False,
            "eth_blockNumber": lambda: show(chain.headers.height),
            "eth_gasPrice": lambda: show(base_fee(chain.pending()) + TIP),
            "eth_maxPriorityFeePerGas": lambda: show(TIP),
            "eth_feeHistory": self._fee_history,
            "eth_getBalance": self._balance,
            "eth_getCode": self._code,
            "eth_getStorageAt": self._storage,
            "eth_getTransactionCount": self._nonce,
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBlockReceipts": self._block_receipts,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._logs,
            "eth_call": self._call,
            "eth_estimateGas": self._estimate,
            "eth_sendRawTransaction": lambda raw: show(chain.submit(_data(raw))),
            "evm_mine": self._mine,
            "evm_increaseTime": lambda seconds: show(chain.jump(_quantity(seconds))),
            "evm_setNextBlockTimestamp": lambda time: chain.jump_to(_quantity(time)),
            "evm_snapshot": self._snapshot,
            "evm_revert": self._revert,
        }

    def answer(self, body: bytes) -> bytes:
        """The answer to a request or a batch, never an exception of the asker's making."""
        if body.count(b"[") + body.count(b"{") > MOST_BRACKETS:
            return _encode(_failure(None, RpcError(-32600, "too many brackets")))
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return _encode(_failure(None, RpcError(-32700, "parse error: not JSON")))
        if not isinstance(request, list):
            return _encode(self._answer_one(request))
        if not 0 < len(request) <= MOST_BATCH:
            error = RpcError(-32600, f"a batch holds 1 to {MOST_BATCH} requests")
            return _encode(_failure(None, error))
        return _encode([self._answer_one(one) for one in request])

    def _answer_one(self, request: Any) -> Answer:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _failure(None, RpcError(-32600, "not a JSON-RPC request"))
        identity = request.get("id")
        if not isinstance(identity, (int, str, float, type(None))):
            return _failure(None, RpcError(-32600, "the id must be a number or a string"))
        try:
            result = self._run(request["method"], request.get("params", []))
        except RpcError as error:
            return _failure(identity, error)
        return {"jsonrpc": "2.0", "id": identity, "result": result}

    def _run(self, name: str, parameters: Any) -> Any:
        method = self._methods.get(name)
        if method is None:
            raise RpcError(-32601, f"the method {name[:64]} does not exist/is not available")
        if not isinstance(parameters, list):
            raise RpcError(INVALID, "params must be a list")
        if method is not list:
            try:
                inspect.signature(method).bind(*parameters)
            except TypeError as error:
                raise RpcError(INVALID, f"{name}: {error}") from error
        return method(*parameters)

    # Which block

    def _header(self, block: Any = "latest") -> PragueBlockHeader:
        headers = self._chain.headers
        if isinstance(block, dict):
            block = block.get("blockHash", block.get("blockNumber"))
        if block is None or block in LATEST_TAGS:
            return headers.head()
        if block == "pending":
            return self._chain.pending()
        if block == "earliest":
            return headers.at(0)
        if isinstance(block, str) and len(block) == 66:
            number = headers.number_of(_data(block))
            if number is None:
                raise RpcError(-32001, "unknown block")
            return headers.at(number)
        return headers.at(self._existing(_quantity(block)))

    def _existing(self, number: int) -> int:
        height = self._chain.headers.height
        if number > height:
            raise RpcError(
                INVALID,
                f"BlockOutOfRangeError: block height is {height} but requested was {number}",
            )
        return number

    def _state(self, block: Any) -> StateAPI:
        return self._chain.machine.state(self._header(block))

    # Reading

    def _balance(self, account: Any, block: Any = "latest") -> str | None:
        return show(self._state(block).get_balance(_address(account)))

    def _code(self, account: Any, block: Any = "latest") -> str | None:
        return show(self._state(block).get_code(_address(account)))

    def _storage(self, account: Any, slot: Any, block: Any = "latest") -> str:
        value = self._state(block).get_storage(_address(account), _quantity(slot))
        return "0x" + value.to_bytes(32, "big").hex()

    def _nonce(self, account: Any, block: Any = "latest") -> str | None:
        sender = _address(account)
        nonce = self._state(block).get_nonce(sender)
        return show(self._chain.pool.next_nonce(sender, nonce) if block == "pending" else nonce)

    def _block_by_number(self, block: Any, full: Any = False) -> Answer | None:
        try:
            return self._show_block(self._header(block), bool(full))
        except RpcError as error:
            if error.code == INVALID and error.message.startswith("BlockOutOfRange"):
                return None
            raise

    def _block_by_hash(self, block_hash: Any, full: Any = False) -> Answer | None:
        number = self._chain.headers.number_of(_data(block_hash))
        if number is None:
            return None
        return self._show_block(self._chain.headers.at(number), bool(full))

    def _show_block(self, header: PragueBlockHeader, full: bool) -> Answer:
        return show_block(header, self._chain.blocks.get(header.block_number), full)

    def _block_receipts(self, block: Any) -> list[Answer]:
        executed = self._chain.blocks.get(self._header(block).block_number)
        return self._receipts_in(executed) if executed else []

    def _receipts_in(self, executed: Executed) -> list[Answer]:
        block_hash = self._chain.headers.hash_of(executed.header.block_number)
        if block_hash not in self._shown:
            if len(self._shown) >= MOST_SHOWN:
                self._shown.clear()
            self._shown[block_hash] = show_receipts(executed)
        return self._shown[block_hash]

    def _transaction(self, transaction_hash: Any) -> Answer | None:
        wanted = _data(transaction_hash)
        place = self._chain.places.get(wanted)
        if place is None:
            waiting = self._chain.pool.find(wanted)
            return show_transaction(waiting, None, 0) if waiting else None
        executed = self._chain.blocks[place.block]
        return show_transaction(executed.transactions[place.index], executed.header, place.index)

    def _receipt(self, transaction_hash: Any) -> Answer | None:
        place = self._chain.places.get(_data(transaction_hash))
        return self._receipts_in(self._chain.blocks[place.block])[place.index] if place else None

    def _fee_history(self, count: Any, newest: Any, percentiles: Any = None) -> Answer:
        last = min(int(self._header(newest).block_number), self._chain.headers.height)
        first = max(0, last - min(_quantity(count), MOST_HISTORY) + 1)
        headers = [self._chain.headers.at(number) for number in range(first, last + 1)]
        after = self._chain.pending() if last == self._chain.headers.height else None
        following = after or self._chain.headers.at(last + 1)
        width = len(percentiles) if isinstance(percentiles, list) else 0
        return {
            "oldestBlock": show(first),
            "baseFeePerGas": [show(base_fee(h)) for h in [*headers, following]],
            "gasUsedRatio": [h.gas_used / h.gas_limit for h in headers],
            "reward": [[show(TIP)] * min(width, 100) for _ in headers],
        }

    def _logs(self, wanted: Any) -> list[Answer]:
        if not isinstance(wanted, dict):
            raise RpcError(INVALID, "eth_getLogs wants a filter object")
        addresses = _addresses(wanted.get("address"))
        topics = _topics(wanted.get("topics"))
        found: list[Answer] = []
        for number in self._blocks_of(wanted):
            executed = self._chain.blocks[number]
            if not any(receipt.logs for receipt in executed.receipts):
                continue
            for receipt in self._receipts_in(executed):
                found += [log for log in receipt["logs"] if _fits(log, addresses, topics)]
            if len(found) > MOST_LOGS:
                raise RpcError(-32005, f"query returned more than {MOST_LOGS} results")
        return found

    def _blocks_of(self, wanted: dict[str, Any]) -> Iterator[int]:
        if "blockHash" in wanted:
            first = last = int(self._header({"blockHash": wanted["blockHash"]}).block_number)
        else:
            height = self._chain.headers.height
            first, last = (
                min(int(self._header(wanted.get(name)).block_number), height)
                for name in ("fromBlock", "toBlock")
            )
        numbers = list(self._chain.blocks)
        yield from numbers[bisect_left(numbers, first) : bisect_right(numbers, last)]

    # Executing

    def _call(self, call: Any, block: Any = "latest", overrides: Any = None) -> str | None:
        if overrides:
            raise RpcError(INVALID, "state overrides are not served")
        header = self._header(block)
        return show(self._chain.machine.call(header, _parse_call(call)))

    def _estimate(self, call: Any, block: Any = "pending") -> str | None:
        header = self._header(block)
        return show(self._chain.machine.estimate(header, _parse_call(call)))

    # Steering

    def _mine(self, when: Any = None) -> str:
        if isinstance(when, dict):
            when = when.get("timestamp")
        if when is not None:
            self._chain.jump_to(_quantity(when))
        self._chain.mine()
        return "0x0"

    def _snapshot(self) -> str | None:
        if len(self._snapshots) >= MOST_SNAPSHOTS:
            raise RpcError(-32000, f"at most {MOST_SNAPSHOTS} snapshots")
        self._snapshots[self._next_snapshot] = self._chain.headers.height
        self._next_snapshot += 1
        return show(self._next_snapshot - 1)

    def _revert(self, snapshot: Any) -> bool:
        wanted = _quantity(snapshot)
        height = self._snapshots.get(wanted)
        if height is None:
            return False
        self._snapshots = {key: at for key, at in self._snapshots.items() if key < wanted}
        self._chain.cut(height)
        return True


def _encode(answer: Answer | list[Answer]) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


def _failure(identity: Any, error: RpcError) -> Answer:
    shown: Answer = {"code": error.code, "message": error.message}
    if error.data is not None:
        shown["data"] = error.data
    return {"jsonrpc": "2.0", "id": identity, "error": shown}


def _quantity(value: Any) -> int:
    if isinstance(value, str) and value.startswith("0x") and 2 < len(value) <= 66:
        try:
            return int(value[2:], 16)
        except ValueError:
            value = value[:70]
    if type(value) is int and 0 <= value < 1 << 256:
        return value
    raise RpcError(INVALID, f"not a quantity: {str(value)[:80]!r}")


def _data(value: Any) -> bytes:
    if isinstance(value, str) and value.startswith("0x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            value = value[:70]
    raise RpcError(INVALID, f"not data in hexadecimal: {str(value)[:80]!r}")


def _address(value: Any) -> Address:
    address = _data(value)
    if len(address) != 20:
        raise RpcError(INVALID, f"not an address: {str(value)[:80]!r}")
    return Address(address)


def _addresses(value: Any) -> frozenset[str]:
    return frozenset("0x" + _address(one).hex() for one in _alternatives(value))


def _topics(value: Any) -> list[frozenset[str]]:
    """One set of allowed topics per place; an empty set allows any."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > 4:
        raise RpcError(INVALID, "topics must be a list of at most four")
    return [frozenset("0x" + _data(one).hex() for one in _alternatives(place)) for place in value]


def _alternatives(value: Any) -> list[Any]:
    listed = value if isinstance(value, list) else [] if value is None else [value]
    if len(listed) > MOST_ALTERNATIVES:
        raise RpcError(INVALID, f"at most {MOST_ALTERNATIVES} alternatives")
    return listed


def _fits(log: Answer, addresses: frozenset[str], topics: list[frozenset[str]]) -> bool:
    if addresses and log["address"].lower() not in addresses:
        return False
    if len(log["topics"]) < len(topics):
        return False
    pairs = zip(topics, log["topics"], strict=False)
    return all(not allowed or topic in allowed for allowed, topic in pairs)


def _parse_call(value: Any) -> Call:
    if not isinstance(value, dict):
        raise RpcError(INVALID, "a call is an object")
    sender, to = value.get("from"), value.get("to")
    return Call(
        sender=_address(sender) if sender else Address(bytes(20)),
        to=_address(to) if to else Address(b""),
        value=_quantity(value.get("value") or "0x0"),
        data=_data(value.get("input") or value.get("data") or "0x"),
        gas=min(_quantity(value.get("gas") or GAS_LIMIT), GAS_LIMIT),
    )
