"""The tiny models of tests/data/models as a configuration can use them. Their weights are random:
what they say means nothing, but they always say the same."""
import json
import pathlib
import shutil

MODELS = pathlib.Path(__file__).resolve().parents[1] / "data" / "models"


def make_decoder(folder, context=8192):
    """tiny-llama3 with a context that has room for a prompt of bytes."""
    model = pathlib.Path(folder) / "tiny-chat"
    shutil.copytree(MODELS / "tiny-llama3", model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["max_position_embeddings"] = context
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return model
