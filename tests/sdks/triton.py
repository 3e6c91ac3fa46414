"""Scores with NVIDIA's client of the Open Inference Protocol: triton.py HOST:PORT SCORE_KEY MODEL EXPECTED

By customer id, and by whole rows of features, as JSON and as the binary tensors that it sends by default.
"""

import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

address, key, model, expected = sys.argv[1:]
headers = {"authorization": f"Bearer {key}"}
client = http.InferenceServerClient(address)
assert client.is_server_live() and client.is_server_ready()
assert client.is_model_ready(model, headers=headers)
metadata = client.get_model_metadata(model, headers=headers)
assert metadata["inputs"][0]["name"] == "customer_id", metadata


def score(tensors, binary):
    inputs = []
    for name, datatype, values in tensors:
        tensor = http.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        inputs.append(tensor)
    outputs = [http.InferRequestedOutput("score", binary_data=binary)]
    result = client.infer(model, inputs, outputs=outputs, headers=headers)
    return result.as_numpy("score").tolist()


ids = np.array([["00002"], ["nobody"]], dtype=np.object_)
by_id = [score([("customer_id", "BYTES", ids)], binary) for binary in (False, True)]
assert by_id[0] == by_id[1], by_id
assert by_id[0][0] == float(expected), (by_id, expected)

rows = []
for tensor in metadata["inputs"][1:]:
    if tensor["datatype"] == "FP64":
        rows.append((tensor["name"], "FP64", np.array([[1.0], [2.0]])))
    else:
        rows.append((tensor["name"], tensor["datatype"], np.array([["a"], ["b"]], dtype=np.object_)))
by_rows = [score(rows, binary) for binary in (False, True)]
assert by_rows[0] == by_rows[1] and len(by_rows[0]) == 2, by_rows
try:
    score([("no_such", "FP64", np.array([1.0]))], binary=True)
except InferenceServerException as error:
    assert "no_such" in str(error), error
else:
    raise AssertionError("an unknown input was taken")
print(f"tritonclient: {by_id[0]} by id, {by_rows[0]} by rows")
