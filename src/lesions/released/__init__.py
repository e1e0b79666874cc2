"""The models that come with the package, ONNX files of stage `export`, each with its model card."""
