"""The control loops that kube-controller-manager runs on a real cluster, as far as they are needed here."""
