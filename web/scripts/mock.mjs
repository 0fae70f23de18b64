// A made-up cluster behind the console's API, to look at pages without a broker: node scripts/mock.mjs [port] [topics] [time in ms].
// It serves dist too. Answers follow openapi.yaml; what is not here answers 404. Numbers come from a seed, so that
// screenshots compare.
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'

const port = Number(process.argv[2] ?? 8099)
const many = Number(process.argv[3] ?? 34)
const dist = new URL('../dist/', import.meta.url)
const HOUR = 3_600_000
const standing = Number(process.argv[4] ?? 0) // ms; the clock that stands still
const now = () => standing || Date.now()
let seed = 7
const rnd = () => ((seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff)

const words = ['order', 'payment', 'stock', 'user', 'coupon', 'delivery', 'invoice', 'audit', 'search', 'notify', 'risk', 'price']
const verbs = ['created', 'paid', 'changed', 'cancelled', 'requested', 'settled']
const types = ['NORMAL', 'NORMAL', 'NORMAL', 'FIFO', 'DELAY', 'TRANSACTION']
const topics = Array.from({ length: many }, (_, i) => ({
  name: `${words[i % 12]}_${verbs[Math.floor(i / 12) % 6]}${i >= 72 ? '_' + i : ''}`,
  type: types[Math.floor(rnd() * 6)],
  brokers: i % 5 === 0 ? ['broker-a'] : ['broker-a', 'broker-b'],
  readQueues: i % 5 === 0 ? 8 : 16,
  writeQueues: i % 5 === 0 ? 8 : 16,
  perm: i === 9 ? 4 : 6,
  order: false,
  inTps: i % 4 === 3 ? 0 : Math.round(rnd() * 42000) / 10,
  inToday: String(Math.round(rnd() * 9e7)),
  groups: Math.floor(rnd() * 5),
}))
const system = ['RMQ_SYS_TRACE_TOPIC', 'SCHEDULE_TOPIC_XXXX', '%RETRY%order-fulfilment', '%DLQ%order-fulfilment', 'TBW102'].map((name, i) => ({
  name, type: i === 2 ? 'RETRY' : i === 3 ? 'DLQ' : 'SYSTEM', brokers: ['broker-a', 'broker-b'], readQueues: 2, writeQueues: 2, perm: 6, order: false, inTps: 0.4, inToday: '4200', groups: 1,
}))
const suffix = ['fulfilment', 'analytics', 'mailer', 'ledger', 'cache', 'search']
const groups = Array.from({ length: Math.round(many * 0.8) }, (_, i) => ({
  name: `${words[i % 12]}-${suffix[Math.floor(i / 12) % 6]}${i >= 72 ? '-' + i : ''}`,
  type: i % 7 === 3 ? 'fifo' : 'normal',
  brokers: ['broker-a', 'broker-b'],
  lag: String(i === 4 ? 1284031 : i % 3 === 0 ? Math.round(rnd() * 900) : 0),
  inflight: String(Math.round(rnd() * 64)),
  tps: i % 6 === 5 ? 0 : Math.round(rnd() * 21000) / 10,
  clients: i % 6 === 5 ? 0 : 1 + Math.floor(rnd() * 8),
  online: i % 6 !== 5,
  model: i % 9 === 8 ? 'broadcasting' : 'clustering',
  consumeType: i % 4 === 1 ? 'CONSUME_POP' : 'CONSUME_PASSIVELY',
  consumeEnable: i !== 10,
  retryMaxTimes: 16,
  lastConsume: now() - Math.round(rnd() * 60000),
  delayMs: String(i === 4 ? 742000 : Math.round(rnd() * 400)),
}))
const brokers = ['broker-a', 'broker-b'].flatMap((name, i) => [0, 1].map((id) => ({
  name, id, addr: `10.0.${i}.1${id}:10911`, cluster: 'orders-prod', role: id === 0 ? 'master' : 'slave', reachable: !(i === 1 && id === 1),
  version: '5.3.3', product: i === 1 && id === 0 ? 'java' : 'cometmq', inTps: id ? 0 : 21840.5 + i * 900, outTps: id ? 0 : 40211.2, inToday: '812993012', outToday: '1633200120',
  inYesterday: '1230440100', outYesterday: '2511200310', diskRatio: 0.41 + i * 0.38, dispatchBehindBytes: '0', haBehindBytes: id ? '18432' : '0',
  earliestMessage: now() - 52 * HOUR, started: now() - 400 * HOUR, active: true,
})))
const nodeErrors = [{ node: '10.0.1.11:10911', code: 'unreachable', detail: 'dial tcp 10.0.1.11:10911: connect: connection refused' }]
const capabilities = { cometmq: true, clientList: true, kickClient: true, coldFlowControl: true, acl: true, timer: true }
const cluster = (name) => ({
  name, nameServers: ['10.0.0.2:9876', '10.0.1.2:9876'], brokerSets: 2, brokers: 4, masters: 2, slaves: 2, withoutMaster: [], versions: ['5.3.3'],
  inTps: 43681, outTps: 80422.4, inToday: '1625986024', outToday: '3266400240', topics: topics.length, groups: groups.length, lag: '1286204', maxDiskRatio: 0.79, capabilities, partial: true, errors: nodeErrors,
})
const health = {
  verdict: 'warn', checkedAt: now(),
  checks: [
    { rule: 'masters', level: 'ok', code: 'allMasters', detail: '2 of 2 broker sets have a master' },
    { rule: 'nameServers', level: 'ok', code: 'reachable', detail: '2 of 2 name servers answer' },
    { rule: 'replication', level: 'warn', node: '10.0.1.11:10911', code: 'slaveUnreachable', detail: 'slave 1 of broker-b does not answer' },
    { rule: 'disk', level: 'warn', node: 'broker-b', code: 'diskHigh', detail: 'disk 79 % full, deletion begins at 75 %', values: { ratio: '0.79' } },
    { rule: 'dispatch', level: 'ok', code: 'dispatched', detail: 'queues and indexes are up to date' },
    { rule: 'loneTopics', level: 'ok', code: 'none', detail: '' },
  ],
}
const wave = (n, base, amp, phase = 0) => Array.from({ length: n }, (_, i) => (i > n * 0.46 && i < n * 0.48 ? null : Math.max(0, Math.round((base + amp * Math.sin(i / 17 + phase) + amp * 0.35 * Math.sin(i / 5 + phase * 2) + (rnd() - 0.5) * amp * 0.3) * 10) / 10)))
function metrics(q) {
  const name = q.get('name')
  const step = Number(q.get('step') || 10_000)
  const to = Number(q.get('to') || now())
  const from = Number(q.get('from') || to - HOUR)
  const n = Math.min(720, Math.max(2, Math.floor((to - from) / step)))
  const unit = /bytes/.test(name) ? 'B/s' : /\.avg|\.time/.test(name) ? 'ms' : /ratio/.test(name) ? 'ratio' : /lag/.test(name) ? '' : '1/s'
  const scale = /bytes/.test(name) ? 9e6 : /\.avg|\.time/.test(name) ? 3 : /ratio/.test(name) ? 0.4 : 20000
  const only = q.getAll('match').find((m) => m.startsWith('broker='))?.slice(7)
  const sets = q.get('by') === 'topic' && name.startsWith('topic') && !q.get('match') ? topics.toSorted((a, b) => b.inTps - a.inTps).slice(0, 8).map((t) => ({ topic: t.name })) : /^group|^topic/.test(name) ? [{}] : only ? [{ broker: only }] : [{ broker: 'broker-a' }, { broker: 'broker-b' }]
  return { name, unit, step, t0: from, source: 'embedded', series: sets.map((labels, i) => ({ labels, values: wave(n, scale * (1 - i * 0.3), scale * 0.35, i) })) }
}
const queues = (t) => t.brokers.flatMap((broker) => Array.from({ length: 8 }, (_, queue) => ({ broker, queue, min: String(1200 + queue * 17), max: String(9007199254740993n + BigInt(queue * 4001)), messages: String(4_180_220 + queue * 3984), lastUpdate: now() - queue * 700 })))
const topicConfig = (t) => t.brokers.map((broker) => ({ broker, readQueues: 8, writeQueues: 8, perm: t.perm, order: false, sysFlag: 0, messageType: t.type, attributes: { 'message.type': t.type } }))
const lagItems = (g) => ['order_created', '%RETRY%' + g.name].flatMap((topic, k) => ['broker-a', 'broker-b'].flatMap((broker) => Array.from({ length: k ? 1 : 8 }, (_, queue) => {
  const lag = k ? 0 : Math.round((Number(g.lag) / 16) * (queue === 3 ? 4 : 0.8))
  return { topic, broker, queue, end: String(8_400_000 + lag), committed: '8400000', pulled: String(8_400_000 + Math.min(lag, 32)), lag: String(lag), lastConsume: now() - 900 - queue * 40, delayMs: String(lag ? 742000 : 12), clientId: g.clients ? `10.2.0.${20 + (queue % g.clients)}@${4100 + (queue % g.clients)}#8812` : undefined }
})))
const clients = (g) => Array.from({ length: g.clients }, (_, i) => ({ id: `10.2.0.${20 + i}@${4100 + i}#8812`, kind: 'consumer', groups: [g.name], broker: 'broker-a', language: i % 3 === 2 ? 'GO' : 'JAVA', version: 'V5_3_3', address: `10.2.0.${20 + i}:5${1200 + i}`, since: now() - (i + 1) * 5 * HOUR, lastSeen: now() - 3000 }))
const steps = (dryRun, action, target) => ({ dryRun, steps: ['broker-a', 'broker-b'].map((node) => ({ node, action, target, done: !dryRun })) })
const config = { dataVersion: '3', items: [
  { key: 'brokerName', value: 'broker-a', default: '', doc: 'Name of the broker set.', live: false, secret: false, known: true },
  { key: 'fileReservedTime', value: '48', default: '72', doc: 'Hours that files of the commit log are kept.', unit: 'h', live: true, secret: false, known: true },
  { key: 'flushDiskType', value: 'ASYNC_FLUSH', default: 'ASYNC_FLUSH', doc: 'When a message counts as stored.', live: false, secret: false, known: true },
  { key: 'maxMessageSize', value: '4194304', default: '4194304', doc: 'Largest message.', unit: 'bytes', live: true, secret: false, known: true },
  { key: 'someOldKey', value: 'true', live: false, secret: false, known: false },
] }
const list = (items, q) => {
  const needle = (q.get('q') ?? '').toLowerCase()
  const found = items.filter((x) => x.name?.toLowerCase().includes(needle) ?? true)
  const by = q.get('sort')?.replace('-', '')
  if (by) found.sort((a, b) => (Number(b[by]) - Number(a[by])) * (q.get('sort').startsWith('-') ? 1 : -1))
  const at = Number(q.get('cursor') ?? 0)
  const limit = Number(q.get('limit') ?? 50)
  return { items: found.slice(at, at + limit), total: found.length, ...(at + limit < found.length && { nextCursor: String(at + limit) }) }
}
const session = { authenticated: true, open: false, setupRequired: false, secure: true, user: 'ada', role: 'admin', csrfToken: 'x', authenticator: 'file', version: 'v0.9.0', serverTime: now() }
const users = ['ada', 'grace', 'linus'].map((name, i) => ({ name, role: ['admin', 'operator', 'viewer'][i], created: now() - 900 * HOUR, lastLogin: i < 2 ? now() - i * HOUR : undefined, topicScope: i === 1 ? '^order' : undefined }))
const tokens = [{ id: 't1', name: 'ci', user: 'ada', role: 'operator', created: now() - 300 * HOUR, expires: now() + 1000 * HOUR, lastUsed: now() - 2 * HOUR }]
const settings = { masking: [{ kind: 'jsonPath', pattern: '$.card', topic: '^payment' }], authenticator: 'file', listen: '0.0.0.0:8080', basePath: '/', version: 'v0.9.0', commit: '9f44af2', started: now() - 400 * HOUR, auditDays: 180, nameServers: ['10.0.0.2:9876'] }
const plan = (dryRun) => ({ dryRun, online: true, method: 'broker', again: '1920000', skipped: '0', items: lagItems(groups[4]).filter((x) => !x.topic.startsWith('%')).map((x) => ({ topic: x.topic, broker: x.broker, queue: x.queue, current: x.committed, target: String(BigInt(x.committed) - 120000n), min: '1200', max: x.end, again: '120000', skipped: '0', done: !dryRun })) })
const find = (items, name) => items.find((x) => x.name === name)
const message = (i, topic = 'order_created') => ({
  id: `7F00000100002A9F0000000000${(0x1a2b00 + i).toString(16).toUpperCase()}`, offsetId: `0A00000A00002A9F${(4096 * (i + 1)).toString(16).toUpperCase().padStart(16, '0')}`, topic, broker: i % 2 ? 'broker-b' : 'broker-a', queue: i % 8, offset: String(9007199254740993n - BigInt(i)), commitLogOffset: String(88012992014n - BigInt(i * 410)),
  bornTime: now() - i * 3100 - 12, storeTime: now() - i * 3100, bornHost: '10.3.0.8:41200', storeHost: '10.0.0.10:10911', tags: ['paid', 'shipped', 'created'][i % 3], keys: [`order-${4711 + i}`], properties: { TAGS: 'paid', KEYS: `order-${4711 + i}`, UNIQ_KEY: 'x', region: 'eu', 'x-note': '<img src=x onerror=alert(1)>', ...(topic.startsWith('%DLQ%') && { RETRY_TOPIC: 'order_created', ORIGIN_MESSAGE_ID: 'x' }) },
  size: 300 + i * 7, flag: 0, sysFlag: 0, reconsumeTimes: topic.startsWith('%DLQ%') ? 16 : 0,
  body: i % 9 === 5 ? { encoding: 'base64', text: 'AAECAwQFBgcICQoLDA0ODw==', size: 16 } : { encoding: 'utf8', text: JSON.stringify({ order: { id: 4711 + i, state: 'paid', total: 1999.5, customer: '张伟', note: '<b>not bold</b>' }, lines: [{ sku: 'A-1', n: 2 }], big: 1 }).replace('"big":1', '"big":9007199254740993'), size: 128 },
})
const messages = (topic) => ({ items: Array.from({ length: 40 }, (_, i) => message(i, topic)), done: false, nextCursor: 'n', scanned: '18240', scannedTo: now() - 900000, from: now() - HOUR, to: now() })
const producers = [{ id: '10.3.0.8@712#1', kind: 'producer', groups: ['shop'], broker: 'broker-a', language: 'JAVA', version: 'V5_3_3', address: '10.3.0.8:41200', since: now() - 7 * HOUR }]
const jobs = [
  { id: 'j1', kind: 'dlqResend', state: 'done', cluster: 'orders-prod', target: 'order-fulfilment', user: 'grace', created: now() - 340000, finished: now() - 330000, total: '3', done: '3', failed: '1', failures: [{ item: 'broker-a/0/4711', code: 'topicNotFound', detail: 'order_removed' }] },
  { id: 'j2', kind: 'messageExport', state: 'running', cluster: 'orders-prod', target: 'order_created', user: 'ada', created: now() - 4000, total: '20000', done: '7300', failed: '0' },
  { id: 'j3', kind: 'dlqExport', state: 'done', cluster: 'orders-prod', target: 'order-fulfilment', user: 'ada', created: now() - 90000, finished: now() - 80000, total: '120', done: '120', failed: '0', hasResult: true, resultName: 'dlq.csv' },
]
const routes = [
  [/^\/session$/, () => session], [/^\/setup$/, () => ({ required: false })],
  [/^\/clusters$/, () => ({ items: [cluster('orders-prod'), cluster('orders-test')] })],
  [/^\/clusters\/([^/]+)$/, (m) => cluster(m[1])], [/\/health$/, () => health],
  [/\/brokers$/, () => ({ items: brokers, total: 4, partial: true, errors: nodeErrors })],
  [/\/brokers\/([^/]+)\/(\d+)$/, (m) => ({ broker: brokers.find((b) => b.name === m[1] && b.id === Number(m[2])), capabilities, runtime: { putTps: '21840.5 21700.1 21650.9', getTransferredTps: '40211.2 40100.0 39999.1', commitLogDirCapacity: 'Total : 1.8 TiB, Free : 1.1 TiB.', bootTimestamp: String(now() - 400 * HOUR), commitLogDiskRatio: '0.41', pageCacheLockTimeMills: '0', dispatchBehindBytes: '0', msgPutTotalTodayNow: '812993012' } })],
  [/\/config$/, () => config],
  [/\/ha$/, () => ({ master: true, end: '88012992014', inSyncSlaves: 1, slaves: [{ addr: '10.0.0.11:10912', acked: '88012973582', behindBytes: '18432', inSync: true, bytesPerSecond: '21840512', sentUpTo: '88012973582' }] })],
  [/\/timer$/, () => ({ broker: 'broker-a', supported: true, backlog: '4210', delivered: now() - 900, readTime: now() - 400, topics: [{ topic: 'order_created', count: '4200', updated: now() - 4000 }, { topic: 'coupon_created', count: '10', updated: now() - 90000 }] })],
  [/\/consumeStats$/, () => ({ broker: 'broker-a', lag: '1284', inflight: '12', items: groups.slice(0, 12).map((g) => ({ group: g.name, topic: 'order_created', lag: g.lag, inflight: g.inflight, tps: g.tps, lastConsume: g.lastConsume })) })],
  [/\/epoch$/, () => ({ cluster: 'orders-prod', broker: 'broker-a', id: 0, max: '9000000', items: [{ epoch: 3, start: '0', end: '5120000' }, { epoch: 4, start: '5120000' }] })],
  [/\/metrics\/query$/, (m, q) => metrics(q)],
  [/\/nameservers$/, () => ({ items: settings.nameServers.concat('10.0.1.2:9876').map((addr, i) => ({ addr, reachable: i === 0, topics: 40, brokers: 4 })) })],
  [/\/kv\/([^/]+)$/, () => ({ items: [{ namespace: 'ORDER_TOPIC_CONFIG', key: 'order_created', value: 'broker-a:8;broker-b:8' }] })],
  [/\/controllers$/, () => ({ items: [0, 1, 2].map((i) => ({ addr: `10.0.${i}.3:9878`, reachable: i !== 2, group: 'ctl', leader: i === 0, leaderAddr: '10.0.0.3:9878', peers: ['10.0.0.3', '10.0.1.3', '10.0.2.3'] })) })],
  [/\/syncState$/, () => ({ items: ['broker-a', 'broker-b'].map((broker, i) => ({ broker, masterId: 1, masterAddr: `10.0.${i}.10:10911`, epoch: 4, stateEpoch: 7, inSync: [{ broker, id: 1, addr: `10.0.${i}.10:10911`, alive: true }], notInSync: [{ broker, id: 2, addr: `10.0.${i}.11:10911`, alive: i === 0 }] })) })],
  [/\/topics$/, (m, q) => list(q.get('type') ? [...topics, ...system] : topics, q)],
  [/\/topics\/([^/]+)$/, (m) => { const t = find([...topics, ...system], m[1]); return t && { name: t.name, type: t.type, configs: topicConfig(t) } }],
  [/\/topics\/([^/]+)\/route$/, (m) => { const t = find(topics, m[1]) ?? topics[1]; return { brokers: t.brokers.map((name, i) => ({ name, cluster: 'orders-prod', addrs: { 0: `10.0.${i}.10:10911`, 1: `10.0.${i}.11:10911` } })), queues: t.brokers.map((broker) => ({ broker, read: 8, write: 8, perm: t.perm, sysFlag: 0 })) } }],
  [/\/topics\/([^/]+)\/stats$/, (m) => { const t = find(topics, m[1]) ?? topics[1]; return { items: queues(t), messages: '66912044', putTps: t.inTps, inToday: t.inToday } }],
  [/\/topics\/([^/]+)\/groups$/, () => ({ items: groups.slice(0, 5).map((g) => ({ group: g.name, lag: g.lag, tps: g.tps, online: g.online, clients: g.clients, lastConsume: g.lastConsume })) })],
  [/\/topics\/([^/]+)\/producers$/, () => ({ items: [{ id: '10.3.0.8@712#1', kind: 'producer', groups: ['shop'], broker: 'broker-a', language: 'JAVA', version: 'V5_3_3', address: '10.3.0.8:41200', since: now() - 7 * HOUR }] })],
  [/\/groups$/, (m, q) => list(groups, q)],
  [/\/groups\/([^/]+)$/, (m) => { const g = find(groups, m[1]); return g && { ...g, topics: ['order_created'], fromWhere: 'CONSUME_FROM_LAST_OFFSET', configs: g.brokers.map((broker) => ({ broker, consumeEnable: true, consumeFromMinEnable: true, consumeBroadcastEnable: true, consumeMessageOrderly: g.type === 'fifo', retryQueues: 1, retryMaxTimes: 16, brokerId: 0, whichBrokerWhenSlow: 1, notifyConsumerIdsChanged: true, consumeTimeoutMinutes: 15, sysFlag: 0, attributes: {} })) } }],
  [/\/groups\/([^/]+)\/lag$/, (m) => { const g = find(groups, m[1]) ?? groups[0]; return { items: lagItems(g), lag: g.lag, tps: g.tps } }],
  [/\/groups\/([^/]+)\/clients$/, (m) => ({ items: clients(find(groups, m[1]) ?? groups[0]) })],
  [/\/groups\/([^/]+)\/subscriptions$/, () => ({ items: [{ topic: 'order_created', expression: 'paid || shipped', expressionType: 'TAG', tags: ['paid', 'shipped'], version: String(now()) }], mismatches: [{ clientId: '10.2.0.22@4102#8812', topic: 'order_created', expression: '*', expected: 'paid || shipped' }] })],
  [/\/runningInfo$/, () => ({ clientId: '10.2.0.20@4100#8812', properties: { PROP_CONSUME_TYPE: 'CONSUME_PASSIVELY', PROP_THREADPOOL_CORE_SIZE: '20', PROP_CONSUMER_START_TIMESTAMP: '1795417371000' }, subscriptions: [], queues: [0, 1, 2].map((queue) => ({ topic: 'order_created', broker: 'broker-a', queue, committed: '8400000', cachedCount: 12, lastConsume: now() - 900 })), statuses: [] })],
  [/^\/alerts$/, () => ({ items: [{ id: 'a1', ruleId: 'r1', kind: 'lag', severity: 'fault', state: 'firing', cluster: 'orders-prod', target: groups[4].name, value: 1284031, threshold: 100000, since: now() - 742000 }] })],
  [/^\/audit$/, () => ({ items: [{ id: '1', time: now() - 340000, user: 'grace', address: '10.9.0.4', action: 'topic.update', target: 'order_created', cluster: 'orders-prod', result: 'ok', requestId: 'r1' }, { id: '2', time: now() - 2 * HOUR, user: 'ada', address: '10.9.0.2', action: 'group.resetOffset', target: groups[0].name, cluster: 'orders-prod', result: 'ok', requestId: 'r2' }] })],
  [/\/topics\/([^/]+)\/messages$/, (m) => messages(m[1])],
  [/\/messages$/, (m, q) => (q.get('id') || q.get('key') ? { items: [message(3), message(12)] } : undefined)], [/\/topics\/([^/]+)\/messages$/, (m) => messages(m[1])],
  [/\/messages\/([^/]+)$/, () => message(3)],
  [/\/tracks$/, () => ({ items: ['consumed', 'filtered', 'notYet', 'notOnline', 'broadcast'].map((state, i) => ({ group: groups[i].name, state })) })],
  [/\/trace$/, () => ({ items: [{ type: 'pub', time: now() - 9000, group: 'shop', host: '10.3.0.8', costMs: 4, success: true }, { type: 'subBefore', time: now() - 8980, group: groups[0].name, host: '10.2.0.20', requestId: 'r1', retryTimes: 0 }, { type: 'subAfter', time: now() - 8960, group: groups[0].name, requestId: 'r1', costMs: 20, success: false }, { type: 'subBefore', time: now() - 8900, group: groups[0].name, host: '10.2.0.21', requestId: 'r2', retryTimes: 1 }, { type: 'subAfter', time: now() - 8880, group: groups[0].name, requestId: 'r2', costMs: 17, success: true }, { type: 'subBefore', time: now() - 8890, group: groups[1].name, host: '10.2.0.31', requestId: 'r3' }] })],
  [/\/dlq$/, () => ({ items: groups.slice(0, 3).map((g, i) => ({ group: g.name, topic: '%DLQ%' + g.name, messages: String(120 - i * 50), lastUpdate: now() - i * HOUR, brokers: g.brokers })) })],
  [/\/dlq\/([^/]+)\/messages$/, (m) => messages('%DLQ%' + m[1])],
  [/\/orders-\w+\/clients$/, () => ({ known: true, items: [...groups.slice(0, 5).flatMap(clients), ...producers] })], [/\/orders-\w+\/producers$/, () => ({ known: true, items: producers })],
  [/\/acl\/users$/, () => ({ items: [['root', 'Super', 'enable'], ['shop', 'Normal', 'enable'], ['old-batch', 'Normal', 'disable']].map(([name, type, status], i) => ({ name, type, status, brokers: ['broker-a', 'broker-b'], ...(i === 1 && { differs: true }) })), total: 3 })],
  [/\/acl\/policies$/, () => ({ items: [{ subject: 'User:shop', brokers: ['broker-a', 'broker-b'], policies: [{ type: 'Custom', entries: [{ resource: 'Topic:order*', actions: ['Pub', 'Sub'], sources: ['10.0.0.0/8'], decision: 'Allow' }, { resource: 'Group:*', actions: ['Sub'], decision: 'Allow' }, { resource: 'Topic:audit', actions: ['All'], decision: 'Deny' }] }] }], total: 1 })],
  [/^\/alerts\/rules$/, () => ({ items: [{ id: 'lag', name: 'Consumers are behind', kind: 'lag', enabled: true, threshold: 100000, forMs: 300000, severity: 'warn', builtin: true }, { id: 'disk', name: 'Disk is nearly full', kind: 'disk', enabled: true, threshold: 0.9, forMs: 60000, severity: 'fault', builtin: true }, { id: 'r1', name: 'Orders', kind: 'clients', enabled: false, threshold: 2, forMs: 0, severity: 'warn', target: '^order' }, { id: 'rep', name: 'Replica is behind', kind: 'replicaBehind', enabled: true, threshold: 268435456, forMs: 60000, severity: 'warn', builtin: true }] })],
  [/^\/alerts\/settings$/, () => ({ webhook: 'https://hooks.example/oncall', format: 'dingtalk', secretSet: true, told: '12', failedAttempts: '1', dropped: '0' })],
  [/\/transactions$/, () => ({ pending: '3', oldest: now() - 4 * HOUR, items: [0, 1, 2].map((i) => ({ message: message(i, 'RMQ_SYS_TRANS_HALF_TOPIC'), producerGroup: 'shop', checks: i * 5, realTopic: 'order_created' })) })],
  [/\/delayed$/, () => ({ backlog: '4210', topics: [{ topic: 'order_created', count: '4200', updated: now() - 4000 }, { topic: 'coupon_created', count: '10', updated: now() - 90000 }], bounds: [[60000, 120], [600000, 1800], [3600000, 2000], [86400000, 280], [0, 10]].map(([upToMs, n]) => ({ upToMs, count: String(n) })), brokers: [{ broker: 'broker-a:0', supported: true, backlog: '4210', topics: [], delivered: now() - 900 }, { broker: 'broker-b:0', supported: false, topics: [] }] })],
  [/^\/jobs$/, () => ({ items: jobs })], [/^\/jobs\/(\w+)$/, (m) => jobs.find((j) => j.id === m[1])],
  [/^\/users$/, () => ({ items: users })], [/^\/tokens$/, () => ({ items: tokens })], [/^\/settings$/, () => settings],
]

const kinds = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml', html: 'text/html' }
createServer(async (req, res) => {
  const url = new URL(req.url, 'http://x')
  const csp = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
  if (!url.pathname.startsWith('/api/v1')) {
    const asset = /\.\w+$/.test(url.pathname)
    const file = asset ? url.pathname.slice(1) : 'index.html'
    try {
      let data = await readFile(new URL(file, dist))
      if (!asset) data = data.toString().replaceAll('"./', '"/')
      res.writeHead(200, { 'content-type': kinds[file.split('.').pop()] ?? 'application/octet-stream', 'content-security-policy': csp })
      res.end(data)
    } catch {
      res.writeHead(404).end()
    }
    return
  }
  const path = decodeURI(url.pathname.slice(7)).replaceAll('%25', '%').replaceAll('%2F', '/')
  const dryRun = url.searchParams.get('dryRun') === 'true'
  const answer = (status, body) => res.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json', etag: '"1"' }).end(JSON.stringify(body))
  if (req.method !== 'GET' && !/\/offsets$|^\/session$/.test(path)) {
    const body = await new Promise((done) => { let s = ''; req.on('data', (d) => (s += d)).on('end', () => done(s)) })
    if (/\/topics$/.test(path) && !/"name":"[\w%|-]+"/.test(body)) return answer(400, { type: 'about:blank', title: 'Bad request', status: 400, code: 'invalid', fields: [{ name: 'name', code: 'illegalName', detail: 'only letters, digits, _ - % |' }] })
    if (!dryRun && /\/(export|resend)$/.test(path) && !/\/messages\/[^/]+\/resend$/.test(path)) return answer(202, jobs[0])
    if (/\/acl\/check$/.test(path)) return answer(200, { allowed: true, reason: 'allowed', subject: 'User:shop', entry: { resource: 'Topic:order*', actions: ['Pub', 'Sub'], sources: ['10.0.0.0/8'], decision: 'Allow' } })
    return answer(200, steps(dryRun, req.method, path))
  }
  if (/\/offsets$/.test(path) && req.method === 'PATCH') return answer(200, plan(dryRun))
  for (const [re, f] of [...routes].reverse()) {
    const m = re.exec(path)
    const body = m && f(m, url.searchParams)
    if (body) return answer(200, body)
  }
  answer(404, { type: 'about:blank', title: 'Not found', status: 404, code: 'notFound', detail: path })
}).listen(port, '127.0.0.1', function () {
  process.stdout.write(`http://127.0.0.1:${this.address().port}\n`)
})
