// OpenFeature's OFREP provider for Node gives the variant and the value that the endpoint logs:
// openfeature.mjs URL SCORE_KEY ADMIN_KEY N
import { OpenFeature } from "@openfeature/server-sdk";
import { OFREPProvider } from "@openfeature/ofrep-provider";

const [url, scoreKey, adminKey, n] = process.argv.slice(2);
const ask = async (path, key, body) => {
  const answer = await fetch(url + path, {
    method: body ? "POST" : "GET",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};
await ask("/v1/experiments/node_provider", adminKey, {
  format: 1,
  definition: {
    name: "node_provider",
    variants: [{ name: "paid", value: { price: 4.9 } }, { name: "free", value: { price: 0 } }],
  },
});
await OpenFeature.setProviderAndWait(
  new OFREPProvider({ baseUrl: url, headers: [["authorization", `Bearer ${scoreKey}`]] }),
);
const client = OpenFeature.getClient();
const given = new Map();
for (let k = 0; k < Number(n); k++) {
  const customer = `node-${k}`;
  const said = await client.getObjectDetails("node_provider", {}, { targetingKey: customer });
  if (said.errorCode) throw new Error(JSON.stringify(said));
  const { variant, value } = await ask(`/v1/decide/node_provider?customer_id=${customer}`, scoreKey);
  if (said.variant !== variant || said.value.price !== value.price) {
    throw new Error(`${customer}: the provider says ${JSON.stringify(said)}, the endpoint ${variant}`);
  }
  given.set(variant, (given.get(variant) ?? 0) + 1);
}
if (given.size !== 2) throw new Error(`only ${[...given.keys()]} was given`);
console.log(`openfeature-node: ${n} customers, 0 different, ${JSON.stringify([...given])}`);
