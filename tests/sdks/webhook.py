"""Receives a webhook of an endpoint and checks it with the published library: webhook.py URL ADMIN_KEY"""

import http.server
import json
import sys
import urllib.request

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

url, key = sys.argv[1:]


def ask(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{path}", data=data, headers={"authorization": f"Bearer {key}"})
    return json.load(urllib.request.urlopen(request))


class Receiver(http.server.BaseHTTPRequestHandler):
    heard = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        Receiver.heard.append((dict(self.headers), body))
        # The first one is not taken, so that it comes again.
        self.send_response(503 if len(Receiver.heard) == 1 else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
server.timeout = 30
name = ask("/v1/deployments")["deployments"][0]["name"]
rule = {"name": "heard", "deployment": name, "on": "customer", "when": "score >= 0",
        "webhook": f"http://127.0.0.1:{server.server_port}/", "send": {"offer": "größer"}}
ask("/v1/rules/heard", rule)
ask("/v1/rules/heard/test", {})
while len(Receiver.heard) < 2:
    before = len(Receiver.heard)
    server.handle_request()
    assert len(Receiver.heard) > before, "nothing came within 30 seconds"
secret = ask("/v1/webhook-secret")["current"]
for headers, body in Receiver.heard:
    said = Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
    assert said["type"] == "test" and said["data"]["send"] == {"offer": "größer"}, said
assert len({headers["webhook-id"] for headers, _ in Receiver.heard}) == 1
headers, body = Receiver.heard[0]
try:
    Webhook(secret).verify(body.replace("test", "rest"), headers)
    sys.exit("a changed body was taken")
except WebhookVerificationError:
    print("webhook: refused once, told again, signature checked by standardwebhooks")
