"""Classifier and regressor that stand where scikit-learn's MLPClassifier and MLPRegressor stand."""

from chainrule.interop.extras import needs

with needs("chainrule.sklearn", "sklearn", "'chainrule[sklearn]'"):
    from chainrule.sklearn.classifier import NeuralNetClassifier
    from chainrule.sklearn.regressor import NeuralNetRegressor

__all__ = ["NeuralNetClassifier", "NeuralNetRegressor"]
