"""Look into a base and the models adapted from it."""

ANALYSES = {
    "experts": "lingraft.analyze.experts:experts",
    "context": "lingraft.analyze.context:context",
    "forgetting": "lingraft.analyze.forgetting:forgetting",
    "alignment": "lingraft.analyze.alignment:alignment",
    "fertility": "lingraft.analyze.fertility:fertility",
    "quantization": "lingraft.analyze.quantization:quantization",
    "efficiency": "lingraft.analyze.efficiency:efficiency",
}

__all__ = ["ANALYSES"]
