"""To and from other libraries; the public doors are chainrule.sklearn, .onnx, .pytorch, .keras."""
