// The bus: the part of the NATS protocol that answering calls needs (https://docs.nats.io/reference/reference-protocols/nats-protocol).
// It connects once. When the connection is lost, the process ends, and PCloud starts it again.

import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex') // an Ed25519 key's DER, up to its 32 bytes
const USER = 20 << 3 // the prefix byte of a user's public key: its text begins with U

function fromBase32(text) {
  const bytes = []
  let value = 0
  let bits = 0
  for (const letter of text) {
    value = (value << 5) | LETTERS.indexOf(letter)
    bits += 5
    if (bits >= 8) bytes.push((value >>> (bits -= 8)) & 255)
  }
  return Buffer.from(bytes)
}

function toBase32(bytes) {
  let text = ''
  let value = 0
  let bits = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff
    bits += 8
    while (bits >= 5) text += LETTERS[(value >>> (bits -= 5)) & 31]
  }
  return bits ? text + LETTERS[(value << (5 - bits)) & 31] : text
}

// CRC-16/XMODEM, as nkeys uses it.
function checksum(bytes) {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff
  }
  return Buffer.from([crc & 255, crc >> 8])
}

// The key in a seed file: two prefix bytes, 32 bytes of seed, two of checksum, in base32.
export function readKey(file) {
  const seed = fromBase32(readFileSync(file, 'ascii').trim()).subarray(2, 34)
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  const raw = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x, 'base64url')
  const body = Buffer.concat([Buffer.from([USER]), raw])
  return { name: toBase32(Buffer.concat([body, checksum(body)])), sign: (text) => sign(null, Buffer.from(text), key) }
}

// `name: value` lines after a first line NATS/1.0.
function readHeaders(text) {
  const pairs = text.split('\r\n').slice(1).filter((line) => line.includes(':'))
  return Object.fromEntries(pairs.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]))
}

export class Bus {
  // `receive(message)` is called with {subject, reply, headers, body} for each message; `lost(reason)` once, at the end.
  constructor(url, key, name, receive, lost) {
    Object.assign(this, { key, name, receive, buffer: Buffer.alloc(0) })
    const { hostname, port } = new URL(url)
    this.socket = connect({ host: hostname, port: Number(port), noDelay: true })
    this.socket.on('data', (data) => this.read(data))
    this.socket.on('error', (error) => lost(error.message))
    this.socket.on('close', () => lost('the connection to the bus was closed'))
    this.ready = new Promise((resolve) => { this.flushed = resolve })
  }

  subscribe(subject, queue, sid) {
    this.socket.write(`SUB ${subject} ${queue} ${sid}\r\n`)
  }

  unsubscribe(sid) {
    this.socket.write(`UNSUB ${sid}\r\n`)
  }

  publish(subject, headers, body) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const head = Buffer.from(`NATS/1.0\r\n${lines}\r\n`)
    const text = Buffer.from(body)
    this.socket.write(`HPUB ${subject} ${head.length} ${head.length + text.length}\r\n`)
    this.socket.write(Buffer.concat([head, text, Buffer.from('\r\n')]))
  }

  close() {
    return new Promise((resolve) => this.socket.end(resolve))
  }

  read(data) {
    this.buffer = Buffer.concat([this.buffer, data])
    for (;;) {
      const end = this.buffer.indexOf('\r\n')
      if (end < 0) return
      const [verb, ...words] = this.buffer.toString('utf8', 0, end).split(' ')
      const sized = verb === 'MSG' || verb === 'HMSG'
      const size = sized ? Number(words.at(-1)) : -2
      if (this.buffer.length < end + 4 + size) return
      const payload = this.buffer.subarray(end + 2, end + 2 + Math.max(size, 0))
      this.buffer = this.buffer.subarray(end + 4 + size)
      this.take(verb, words, payload)
    }
  }

  take(verb, words, payload) {
    if (verb === 'INFO') this.introduce(JSON.parse(words.join(' ')))
    else if (verb === 'PING') this.socket.write('PONG\r\n')
    else if (verb === 'PONG') this.flushed()
    else if (verb === '-ERR') console.error('the bus says:', words.join(' '))
    else if (verb === 'HMSG') {
      const length = Number(words.at(-2))
      const headers = readHeaders(payload.toString('utf8', 0, length))
      const reply = words.length === 5 ? words[2] : ''
      this.receive({ subject: words[0], reply, headers, body: payload.toString('utf8', length) })
    }
  }

  // The login is the server's nonce, signed with our key.
  introduce(info) {
    if (this.known) return // the server sends its INFO again now and then
    this.known = true
    const login = {
      nkey: this.key.name, sig: this.key.sign(info.nonce).toString('base64url'), name: this.name, lang: 'node', version: '1',
      protocol: 1, headers: true, verbose: false, pedantic: false,
    }
    this.socket.write(`CONNECT ${JSON.stringify(login)}\r\nPING\r\n`)
  }
}
