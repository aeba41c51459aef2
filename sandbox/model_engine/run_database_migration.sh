exec python -m sandbox.model_engine.migration
