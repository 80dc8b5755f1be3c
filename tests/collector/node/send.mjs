import { Analytics } from '@segment/analytics-node'

const [host, writeKey] = process.argv.slice(2)
const errors = []
const client = new Analytics({ host, writeKey, flushAt: 3, flushInterval: 200 })
client.on('error', error => errors.push(String(error.reason ?? error)))
let sent = 0
client.on('http_response', answer => { if (answer.status !== 200) errors.push(answer.status) })
const who = { userId: 'ada', anonymousId: 'device-1' }
const told = error => { error ? errors.push(String(error)) : sent++ }
client.identify({ ...who, traits: { email: 'ada@example.org' } }, told)
client.track({ ...who, event: 'Product Viewed', properties: { product_id: 'sku-1' } }, told)
client.page({ ...who, properties: { url: 'https://shop.example/' } }, told)
client.track({ ...who, event: 'Signed In' }, told)
await client.closeAndFlush()
console.log(JSON.stringify({ errors, sent }))
