// Counts the words of each note: an app for PCloud in plain JavaScript, by the wire contract alone.

import { Bus, readKey } from './bus.mjs'
import { Graph, Told } from './gateway.mjs'

const { PCLOUD_APP, NATS_URL, NATS_NKEY_SEED_FILE } = process.env
const HEARTBEAT = 5000 // milliseconds between heartbeats of a running call
const GRACE = 10000 // milliseconds that running calls have after SIGTERM

const NOTE = 'query($id: ID!) { getNote(id: $id) { text } }'
const SAVE = 'mutation($id: ID!, $words: Int) { updateNote(input: {filter: {id: [$id]}, set: {words: $words}}) { count } }'

const actions = {
  async count({ note }, graph) {
    const found = (await graph.query(NOTE, { id: note })).getNote
    if (!found) throw new Told('NOT_FOUND', `there is no note ${note}`)
    const words = found.text.split(/\s+/).filter(Boolean).length
    await graph.mutate(SAVE, { id: note, words })
    return words
  },
}

const running = new Set()

function receive(message) {
  const call = answer(message).finally(() => running.delete(call))
  running.add(call)
}

async function answer({ subject, reply, headers, body }) {
  const heart = setInterval(() => bus.publish(reply, { 'Pcloud-Heartbeat': '1' }, ''), HEARTBEAT)
  try {
    const graph = new Graph(headers)
    const result = await actions[subject.split('.').at(-1)](JSON.parse(body).args, graph)
    bus.publish(reply, { 'Pcloud-Status': 'ok' }, JSON.stringify({ result, revision: graph.revision }))
  } catch (error) {
    const told = { code: error instanceof Told ? error.code : 'INTERNAL', message: error.message, traceback: error.stack }
    bus.publish(reply, { 'Pcloud-Status': 'error' }, JSON.stringify({ error: told }))
  } finally {
    clearInterval(heart)
  }
}

// Accept no new calls, finish the running ones, end.
async function stop() {
  Object.keys(actions).forEach((_, number) => bus.unsubscribe(number + 1))
  await Promise.race([Promise.all(running), new Promise((resolve) => setTimeout(resolve, GRACE))])
  await bus.close()
  process.exit(0)
}

function lost(reason) {
  console.error(reason)
  process.exit(1)
}

const bus = new Bus(NATS_URL, readKey(NATS_NKEY_SEED_FILE), PCLOUD_APP, receive, lost)
await bus.ready
Object.keys(actions).forEach((name, number) => bus.subscribe(`call.${PCLOUD_APP}.${name}`, PCLOUD_APP, number + 1))
process.on('SIGTERM', stop)
console.log('ready; actions:', Object.keys(actions).join(', '))
