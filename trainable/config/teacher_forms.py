"""What a teacher may be, in words: one wording for help, settings and errors."""

TEACHER_FORMS = (
    "a model file or run folder of Veer, a .parquet file of embeddings, an ONNX, TorchScript or "
    "torch.export (.pt2) file, or the .yaml file of one or of a voxceleb_trainer plug-in"
)
