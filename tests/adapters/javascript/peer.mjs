// A peer after docs/peers.md, on js-libp2p: a second implementation, to hold the first one against.
//
//   node peer.mjs ask     '{"address": ..., "job": ..., "trainer": ..., ...}'   asks, prints what it got
//   node peer.mjs offer   '{"address": ..., "encrypter": "plaintext"}'          dials, prints how it ended
//   node peer.mjs serve   '{...}'   prints its address, answers until its standard input is closed
//
// Keys and the deployment come as hexadecimal text in the same object; every output is a line of JSON.

// js-libp2p wants this of Node 22.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new Promise((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}

const { createLibp2p } = await import('libp2p')
const { noise } = await import('@chainsafe/libp2p-noise')
const { yamux } = await import('@chainsafe/libp2p-yamux')
const { privateKeyFromRaw } = await import('@libp2p/crypto/keys')
const { identify } = await import('@libp2p/identify')
const { plaintext } = await import('@libp2p/plaintext')
const { tcp } = await import('@libp2p/tcp')
const { multiaddr } = await import('@multiformats/multiaddr')
const { secp256k1 } = await import('@noble/curves/secp256k1.js')
const { keccak_256: keccak } = await import('@noble/hashes/sha3.js')
const { decode, encode } = await import('cborg')

const PEERS = '/scatter/peers/1'
const KEY = '/scatter/key/1'
const MOST_MESSAGE_BYTES = 64 * 1024

const [command, given] = process.argv.slice(2)
const options = JSON.parse(given)

const text = (value) => new TextEncoder().encode(value)
const hex = (value) => Uint8Array.from(Buffer.from(value.replace(/^0x/, ''), 'hex'))
const toHex = (bytes) => Buffer.from(bytes).toString('hex')
const concat = (...parts) => Uint8Array.from(Buffer.concat(parts))
const say = (value) => process.stdout.write(JSON.stringify(value) + '\n')

// Signed statements (EIP-712)

const word = (value) => typeof value === 'object'
  ? concat(new Uint8Array(32 - value.length), value)
  : hex(BigInt(value).toString(16).padStart(64, '0'))
const hash = (...parts) => keccak(concat(...parts))

function domain () {
  const type = 'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'
  return hash(hash(text(type)), hash(text('Scatter')), hash(text('1')),
    word(options.chainId), word(hex(options.contract)))
}

const digest = (struct) => hash(Uint8Array.of(0x19, 0x01), domain(), struct)

function recordDigest ([account, peerId, addresses, gateway, issuedAt]) {
  const type = 'PeerRecord(address account,string peerId,string[] addresses,string gateway,uint64 issuedAt)'
  return digest(hash(hash(text(type)), word(account), hash(text(peerId)),
    hash(...addresses.map((one) => hash(text(one)))), hash(text(gateway)), word(issuedAt)))
}

function replyDigest (job, trainer, [model, keyCommitment, key], asker, holder) {
  const type = 'KeyReply(uint256 job,address trainer,bytes32 model,bytes32 keyCommitment,' +
    'bytes32 key,address asker,address holder)'
  return digest(hash(hash(text(type)), word(job), word(trainer), model, keyCommitment, key,
    word(asker), word(holder)))
}

function sign (message) {
  const made = secp256k1.sign(message, hex(options.accountKey), { prehash: false, format: 'recovered' })
  return concat(made.subarray(1), Uint8Array.of(27 + made[0]))
}

function signer (message, signature) {
  const made = concat(Uint8Array.of(signature[64] - 27), signature.subarray(0, 64))
  return addressOf(secp256k1.recoverPublicKey(made, message, { prehash: false }))
}

const addressOf = (publicKey) =>
  keccak(secp256k1.Point.fromBytes(publicKey).toBytes(false).subarray(1)).subarray(12)

const account = addressOf(secp256k1.getPublicKey(hex(options.accountKey)))

function ownRecord (node) {
  const addresses = node.getMultiaddrs().map((one) => one.toString().split('/p2p/')[0])
  const record = [account, node.peerId.toString(), addresses, '', Date.now()]
  return [...record, sign(recordDigest(record))]
}

// Messages: CBOR behind a length of 4 bytes

function frame (message) {
  const body = encode(message)
  return concat(Uint8Array.of(0, body.length >> 16, body.length >> 8, body.length), body)
}

async function * messages (stream) {
  let data = new Uint8Array()
  for await (const chunk of stream) {
    data = concat(data, chunk.subarray())
    for (;;) {
      const length = data.length < 4 ? Infinity : new DataView(data.buffer).getUint32(0)
      if (length !== Infinity && length > MOST_MESSAGE_BYTES) throw new Error('an oversized message')
      if (data.length < 4 + length) break
      yield decode(data.slice(4, 4 + length))
      data = data.slice(4 + length)
    }
  }
}

async function request (connection, protocol, message) {
  const stream = await connection.newStream(protocol)
  stream.send(frame(message))
  for await (const answer of messages(stream)) {
    await stream.close()
    return answer
  }
  throw new Error('the stream ended without an answer')
}

// What is new since `epoch` and `until`, part by part.
async function news (connection, record, epoch = new Uint8Array(), until = 0) {
  const records = []
  for (;;) {
    const part = await request(connection, PEERS, { record, epoch, since: until })
    records.push(...part.records);
    ({ epoch, until } = part)
    if (!part.more) return { records, epoch, until }
  }
}

// The three commands

const create = (more) => createLibp2p({
  privateKey: privateKeyFromRaw(hex(options.hostKey)),
  transports: [tcp()],
  connectionEncrypters: [options.encrypter === 'plaintext' ? plaintext() : noise()],
  streamMuxers: [yamux()],
  services: { identify: identify() },
  ...more
})

async function ask () {
  const node = await create()
  const connection = await node.dial(multiaddr(options.address))
  const record = ownRecord(node)
  const first = await news(connection, record)
  const again = await news(connection, record, first.epoch, first.until)
  const trainer = hex(options.trainer)
  const keys = []
  for (let job = 1; job <= options.jobs; job++) keys.push(request(connection, KEY, { job, trainer, record }))
  const answers = await Promise.all(keys)
  say({
    peerId: node.peerId.toString(),
    encryption: connection.encryption,
    multiplexer: connection.multiplexer,
    records: first.records.map((one) => ({
      account: toHex(one[0]), peerId: one[1], addresses: one[2], signer: toHex(signer(recordDigest(one), one[5]))
    })),
    news: again.records.length,
    keys: answers.map(({ reply, refused, sentence }, index) => refused
      ? { refused, sentence }
      : { key: toHex(reply[2]), holder: toHex(signer(replyDigest(index + 1, trainer, reply, account, trainer), reply[3])) })
  })
  await node.stop()
}

async function offer () {
  const node = await create()
  try {
    const connection = await node.dial(multiaddr(options.address))
    say({ encryption: connection.encryption })
  } catch (error) {
    say({ refused: error.name })
  }
  await node.stop()
}

async function serve () {
  const node = await create({ addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] } })
  const epoch = Uint8Array.of(1)
  await node.handle(PEERS, async (stream) => {
    for await (const { epoch: known } of messages(stream)) {
      const records = known.length === 1 ? [] : [ownRecord(node)]
      stream.send(frame({ records, epoch, until: 1, more: false }))
      break
    }
    await stream.close()
  })
  await node.handle(KEY, async (stream) => {
    for await (const { job, trainer, record } of messages(stream)) {
      const reply = [hash(text('model')), hash(text('commitment')), hash(text('key'), word(job))]
      const signature = sign(replyDigest(job, trainer, reply, record[0], account))
      stream.send(frame({ reply: [...reply, signature] }))
      break
    }
    await stream.close()
  })
  say({ address: node.getMultiaddrs()[0].toString(), account: toHex(account) })
  for await (const _ of process.stdin) continue
  await node.stop()
}

await { ask, offer, serve }[command]()
