import subprocess
import sys

import torch

IMPORT = "from auditor.process.torchvision import torchvision; import torch, sys; "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def test_imports_beside_a_torch_without_its_compiled_operators():
    code = IMPORT + "print(torchvision.models.resnet18(num_classes=2).eval()(torch.zeros(1, 3, 32, 32)).shape)"
    assert "torch.Size([1, 2])" in run(code).stdout


def test_a_later_plain_import_finds_the_same_module():
    code = IMPORT + "import torchvision as t, torchvision.transforms; print(t.models is torchvision.models)"
    assert run(code).stdout.strip() == "True"


def test_whoever_imports_it_first_can():
    assert run("import auditor.process.torchvision; from torchvision.ops import nms; print(nms)").returncode == 0


def test_is_not_imported_before_something_of_it_is_needed():
    code = "import auditor.runner, sys; print(*{'torchvision', 'torch._dynamo', 'scipy.stats'} & sys.modules.keys())"
    assert run(code).stdout.strip() == ""


def test_declares_nothing_where_the_import_succeeds():
    """An operator that exists is the sign: with it declared beforehand, nothing is declared again."""
    code = (
        "import torch\n"
        "schema = '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor'\n"
        "real = torch.library.define\n"
        "try:\n    import torchvision\n"
        "except RuntimeError:\n"
        "    import sys\n"
        "    [sys.modules.pop(n) for n in list(sys.modules) if n.startswith('torchvision')]\n"
        "    for name in ('nms', 'qnms'):\n        torch.library.define(f'torchvision::{name}', schema)\n"
        "from auditor.process import torchvision\n"
        "print(torchvision.torchvision.models.__name__)"
    )
    done = run(code)
    assert done.stdout.strip() == "torchvision.models", done.stderr


def test_another_failure_of_the_import_is_not_hidden(tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('broken installation')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import auditor.process.torchvision, torchvision"
    assert "RuntimeError: broken installation" in run(code).stderr


def test_knows_the_networks():
    from auditor.process.torchvision import torchvision

    with torch.device("meta"):
        assert torchvision.models.resnet18().fc.out_features == 1000
