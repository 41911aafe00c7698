"""Where packages come from, by uv or by pip: where pip is configured to look, and PyTorch with or without CUDA."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import package_index
from tests.support.tiny_project import TinyProject


@pytest.fixture(params=["uv", "pip"])
def project(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TinyProject:
    """A project, on a machine that has uv or cannot get it."""
    return TinyProject(tmp_path, monkeypatch, has_uv=request.param == "uv")


@pytest.fixture
def index(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where pip looks, as the environment says."""
    with package_index.serving(project.packages) as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        yield url


@pytest.fixture
def pytorch(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with package_index.serving(project.pytorch) as url:
        monkeypatch.setattr(project.bootstrap.pytorch, "INDEX", url)
        yield


@pytest.mark.usefixtures("index", "pytorch")
def test_packages_come_from_the_index_of_the_environment_and_pytorch_from_its_own(project: TinyProject) -> None:
    site = project.ready()
    assert (site / "digit.py").read_text() == "READ = 7"
    assert "CPU" in (site / "torch.py").read_text()


@pytest.mark.usefixtures("pytorch")
@pytest.mark.parametrize("option", ["index-url", "extra-index-url", "find-links"])
def test_packages_come_from_where_pips_file_says(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str
) -> None:
    (project.packages / "torch-2.13.0-py3-none-any.whl").rename(tmp_path / "nowhere")
    with package_index.serving(project.packages) as full, package_index.serving(tmp_path / "empty") as empty:
        places = {"index-url": empty, option: str(project.packages) if option == "find-links" else full}
        file = tmp_path / "pip.conf"
        file.write_text("[global]\n" + "".join(f"{name} = {place}\n" for name, place in places.items()))
        monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
        assert (project.ready() / "digit.py").is_file()


@pytest.mark.usefixtures("index")
def test_pytorch_comes_from_a_folder_that_pip_is_configured_for(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(project.pytorch))
    monkeypatch.setattr(project.bootstrap.pytorch, "INDEX", "http://127.0.0.1:9/simple")
    assert "CPU" in (project.ready() / "torch.py").read_text()


@pytest.mark.usefixtures("index")
def test_pytorch_comes_with_cuda_where_its_own_index_does_not_answer(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(project.bootstrap.pytorch, "TIMEOUT", 1)
    with package_index.silent() as url:
        monkeypatch.setattr(project.bootstrap.pytorch, "INDEX", url)
        site = project.ready()
    assert "CUDA" in (site / "torch.py").read_text()
    said = capsys.readouterr().err
    assert f"PyTorch without CUDA cannot be had from {url}" in said
    assert "2.5 GB more to download, 4.0 GiB more on the disk" in said


@pytest.mark.usefixtures("index", "pytorch")
def test_pytorch_comes_with_cuda_where_a_gpu_answers(project: TinyProject) -> None:
    nvidia = project.path / "nvidia-smi"
    nvidia.write_text("#!/bin/sh\necho 'GPU 0: H100'\n")
    nvidia.chmod(0o755)
    assert "CUDA" in (project.ready() / "torch.py").read_text()


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("where", ["packages", "pytorch"])
def test_pytorch_that_is_not_the_locked_one_is_refused(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Rather than passed over for the one with CUDA."""
    package_index.build_wheel(getattr(project, where), "torch", "2.13.0+cpu", "BUILT_FOR = 'intruders'")
    with package_index.serving(project.pytorch) as url:
        monkeypatch.setattr(project.bootstrap.pytorch, "INDEX", url)
        with pytest.raises(SystemExit, match="is not what was locked"):
            project.ready()


@pytest.mark.usefixtures("index", "pytorch")
def test_package_with_other_content_is_refused(project: TinyProject) -> None:
    package_index.build_wheel(project.packages, code="READ = 8")
    with pytest.raises(SystemExit, match=r"digit==1\.0 is not what was locked: .* Fix that"):
        project.ready()
    assert not list((project.root / ".venv").rglob("digit.py"))


@pytest.mark.usefixtures("index", "pytorch")
def test_package_without_a_hash_is_refused(project: TinyProject) -> None:
    project.write_lock("requirements-serve.txt", "digit==1.0")
    with pytest.raises(SystemExit, match=r"could not be installed.*[Hh]ash"):
        project.ready()


@pytest.mark.usefixtures("index", "pytorch")
def test_package_that_is_no_wheel_is_not_built(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Though its hash is locked: to build it is to run its code."""
    (project.packages / "digit-1.0-py3-none-any.whl").unlink()
    source = project.packages / "digit-1.0.tar.gz"
    code = f"open({str(tmp_path / 'built')!r}, 'w').close()".encode()
    with tarfile.open(source, "w:gz") as archive:
        entry = tarfile.TarInfo("digit-1.0/setup.py")
        entry.size = len(code)
        archive.addfile(entry, io.BytesIO(code))
    monkeypatch.setenv("PIP_FIND_LINKS", str(project.packages))
    project.write_lock("requirements-serve.txt", "digit==1.0", source)
    with pytest.raises(SystemExit, match=r"could not be installed.*digit"):
        project.ready()
    assert not (tmp_path / "built").exists()


def test_index_that_is_down_is_done_without(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """As pip does without one of several, a company's behind a VPN."""
    monkeypatch.setenv("PIP_NO_INDEX", "")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", str(project.pytorch))
    with package_index.serving(project.packages) as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        assert (project.ready() / "digit.py").is_file()


@pytest.mark.usefixtures("index", "pytorch")
def test_read_only_home_is_enough(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", os.devnull + "/uv")
    assert (project.ready() / "digit.py").is_file()
    assert not (project.root / ".venv" / "cache").exists()


def test_certificates_hosts_and_proxies_of_pip_are_uvs(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        "[global]\ncert = /company.pem\nproxy = http://proxy:3128\ntimeout = 60\ntrusted-host = a\n  b\n"
        "[install]\ntimeout = 61\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    for name in ("SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    project.environment.Environment(project.root)._make()
    pip = [str(project.root / ".venv" / "bin" / "python"), "-I", "-m", "pip"]
    told = project.bootstrap.pip_configuration.for_uv(pip)
    expected = {"SSL_CERT_FILE": "/company.pem", "HTTPS_PROXY": "http://proxy:3128", "UV_INSECURE_HOST": "a b"}
    assert expected.items() <= told.items()
    assert told["UV_HTTP_TIMEOUT"] == "61"
