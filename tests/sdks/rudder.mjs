// Sends events with RudderStack's SDK for Node: rudder.mjs URL WRITE_KEY PART
import { createRequire } from 'node:module'

const { default: Analytics } = await import(createRequire(import.meta.url).resolve('@rudderstack/rudder-sdk-node'))
const Client = Analytics.default ?? Analytics
const [url, writeKey, part] = process.argv.slice(2)
const client = new Client(writeKey, { dataPlaneUrl: url, flushAt: 7, errorHandler: (error) => { throw error } })
const userId = 'rudder-node'
client.identify({ userId, traits: { plan: 'pro', part: Number(part) } })
for (let n = 0; n < 20; n += 1) {
  client.track({ userId, event: 'order_completed', properties: { dollar_value: n + 0.5, part: Number(part) } })
}
client.page({ userId, name: 'Home', category: 'Docs' })
await new Promise((resolve, reject) => client.flush((error) => (error ? reject(error) : resolve())))
