"""Blocks, transactions, receipts and logs of the embedded chain in the words of JSON-RPC.

Field names and encodings are those of the Ethereum execution APIs: quantities without leading
zeros, data in full bytes, addresses with a checksum.
"""

from functools import lru_cache
from typing import Any

from eth._utils.address import generate_contract_address
from eth.abc import ReceiptAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth_utils.address import to_checksum_address

from scatter.devnet.execution import Executed, Signed
from scatter.devnet.headers import base_fee

BLOOM_BYTES = 256
WORD = 32
HEADER_BYTES = 600
"""About; a block's `size` is told, and used by nobody."""

Answer = dict[str, Any]


def show(value: int | bytes | None) -> str | None:
    """A quantity or data as JSON-RPC writes it; None is null."""
    if value is None:
        return None
    return hex(value) if isinstance(value, int) else "0x" + value.hex()


@lru_cache(maxsize=4_096)
def show_address(address: bytes) -> str | None:
    """None for the empty address, to which contracts are created."""
    return None if address == CREATE_CONTRACT_ADDRESS else str(to_checksum_address(address))


def show_block(header: PragueBlockHeader, executed: Executed | None, full: bool) -> Answer:
    """A block with its transactions, in full or as hashes; `executed` is None for an empty one."""
    signed = executed.transactions if executed is not None else ()
    return {
        "number": show(header.block_number),
        "hash": show(header.hash),
        "parentHash": show(header.parent_hash),
        "timestamp": show(header.timestamp),
        "mixHash": show(header.mix_hash),
        "baseFeePerGas": show(base_fee(header)),
        "gasLimit": show(header.gas_limit),
        "gasUsed": show(header.gas_used),
        "miner": show_address(header.coinbase) or show(header.coinbase),
        "stateRoot": show(header.state_root),
        "transactionsRoot": show(header.transaction_root),
        "receiptsRoot": show(header.receipt_root),
        "withdrawalsRoot": show(header.withdrawals_root),
        "requestsHash": show(header.requests_hash),
        "parentBeaconBlockRoot": show(header.parent_beacon_block_root),
        "sha3Uncles": show(header.uncles_hash),
        "logsBloom": show(header.bloom.to_bytes(BLOOM_BYTES, "big")),
        "difficulty": show(header.difficulty),
        "blobGasUsed": show(header.blob_gas_used),
        "excessBlobGas": show(header.excess_blob_gas),
        "nonce": show(header.nonce),
        "extraData": show(header.extra_data),
        "size": show(HEADER_BYTES + sum(len(s.raw) for s in signed)),
        "uncles": [],
        "withdrawals": [],
        "transactions": [
            show_transaction(s, header, index) if full else show(s.hash)
            for index, s in enumerate(signed)
        ],
    }


def show_transaction(signed: Signed, header: PragueBlockHeader | None, index: int) -> Answer:
    """A transaction in the block of `header`, or one that waits."""
    transaction = signed.transaction
    kind = transaction.type_id or 0
    answer: Answer = {
        "hash": show(signed.hash),
        "nonce": show(transaction.nonce),
        "blockHash": show(header.hash) if header else None,
        "blockNumber": show(header.block_number) if header else None,
        "transactionIndex": show(index) if header else None,
        "from": show_address(signed.sender),
        "to": show_address(transaction.to),
        "value": show(transaction.value),
        "gas": show(transaction.gas),
        "gasPrice": show(_price(signed, header)),
        "input": show(transaction.data),
        "chainId": show(transaction.chain_id or 0),
        "type": show(kind),
        "v": show(transaction.y_parity if kind else getattr(transaction, "v", None)),
        "r": show(transaction.r),
        "s": show(transaction.s),
    }
    if kind == 2:
        answer["maxFeePerGas"] = show(transaction.max_fee_per_gas)
        answer["maxPriorityFeePerGas"] = show(transaction.max_priority_fee_per_gas)
    if kind:
        answer["accessList"] = [
            {"address": show_address(address), "storageKeys": [_word(key) for key in keys]}
            for address, keys in transaction.access_list
        ]
    return answer


def show_receipts(executed: Executed) -> list[Answer]:
    """The receipts of a block's transactions, in their order."""
    header = executed.header
    answers = []
    used = 0
    first_log = 0
    for index, (signed, receipt) in enumerate(
        zip(executed.transactions, executed.receipts, strict=True)
    ):
        place: Answer = {
            "blockHash": show(header.hash),
            "blockNumber": show(header.block_number),
            "blockTimestamp": show(header.timestamp),
            "transactionHash": show(signed.hash),
            "transactionIndex": show(index),
        }
        transaction = signed.transaction
        created = transaction.to == CREATE_CONTRACT_ADDRESS
        address = generate_contract_address(signed.sender, transaction.nonce)
        answers.append(
            place
            | {
                "type": show(transaction.type_id or 0),
                "status": show(int.from_bytes(receipt.state_root, "big")),
                "from": show_address(signed.sender),
                "to": show_address(transaction.to),
                "contractAddress": show_address(address) if created else None,
                "gasUsed": show(receipt.gas_used - used),
                "cumulativeGasUsed": show(receipt.gas_used),
                "effectiveGasPrice": show(_price(signed, header)),
                "logsBloom": show(receipt.bloom.to_bytes(BLOOM_BYTES, "big")),
                "logs": _show_logs(receipt, place, first_log),
            }
        )
        used = receipt.gas_used
        first_log += len(receipt.logs)
    return answers


def _show_logs(receipt: ReceiptAPI, place: Answer, first: int) -> list[Answer]:
    return [
        place
        | {
            "address": show_address(log.address),
            "topics": [_word(topic) for topic in log.topics],
            "data": show(log.data),
            "logIndex": show(index),
            "removed": False,
        }
        for index, log in enumerate(receipt.logs, first)
    ]


def _price(signed: Signed, header: PragueBlockHeader | None) -> int:
    transaction = signed.transaction
    if header is None:
        return int(transaction.max_fee_per_gas)
    offered = base_fee(header) + transaction.max_priority_fee_per_gas
    return int(min(transaction.max_fee_per_gas, offered))


def _word(value: int) -> str:
    return "0x" + value.to_bytes(WORD, "big").hex()
