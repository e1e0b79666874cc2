"""Bring back outputs that were deleted, from DVC's cache, so that no stage runs again for them.

`python tools/restore.py`, from the repository's folder. `dvc repro` runs every stage again that
lacks an output, though the cache has it. Here only what is not there is brought back, by the hash
in `dvc.lock`: of a directory the files that it lacks. What is there, edited or not, stays as it is.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from dvc.lock import LockError
from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import Stage
from dvc.stage.decorators import rwlocked
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.hash_info import HashInfo
from dvc_objects.fs.generic import transfer
from locks import release_dead, told

from lesions.whole import scratch


def restore(repo: Repo) -> Iterator[tuple[str, int]]:
    """Bring back what the cache has; give each output and how many of its files it lacked."""
    with repo.lock:
        for stage in repo.index.stages:
            missing = {out: find_missing(out) for out in stage.outs if out.use_cache}
            missing = {out: hashes for out, hashes in missing.items() if hashes}
            if not missing:
                continue
            try:
                brought = bring(stage, missing)
            except LockError:  # another DVC runs that stage or reads these files
                continue
            yield from ((str(out), len(missing[out])) for out in brought)


def find_missing(out: Output) -> dict[str, HashInfo]:
    """Give the files of an output that are not there, and their hashes, as far as they are known.

    Nothing is read but the cache's list of a directory, and nothing where something else stands in
    a directory's place.
    """
    if not out.hash_info.isdir:
        return {} if not out.hash_info or out.exists else {out.fs_path: out.hash_info}
    if out.exists and not out.isdir():
        return {}
    files = {os.path.join(out.fs_path, *key): info for key, _, info in out.get_obj() or ()}
    return {path: info for path, info in files.items() if not os.path.lexists(path)}


@rwlocked(write=["outs"])
def bring(stage: Stage, missing: dict[Output, dict[str, HashInfo]]) -> list[Output]:
    """Bring the missing files of a stage's outputs back; give the outputs that are whole again."""
    return [out for out, hashes in missing.items() if bring_one(stage.repo, out, hashes)]


def bring_one(repo: Repo, out: Output, hashes: dict[str, HashInfo]) -> bool:
    """Bring an output's files back, all or none: where one is lost or spoilt, its stage must run.

    They are made elsewhere and looked at first, for DVC takes the cache's word for a hash.
    """
    cached = {path: out.cache.oid_to_path(info.value) for path, info in hashes.items()}
    if not all(map(os.path.isfile, cached.values())):
        return False
    with scratch(Path(repo.tmp_dir, "restore")) as folder:
        made = {path: str(folder / str(number)) for number, path in enumerate(hashes)}
        for path, new in made.items():
            links = list(out.cache.cache_types)  # which `transfer` shortens
            transfer(out.cache.fs, cached[path], out.fs, new, links=links)
            if hash_file(new, out.fs, out.hash_name)[1] != hashes[path]:
                return False
        for path, new in made.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(new, path)
            repo.state.save(path, out.fs, hashes[path])  # or DVC would hash it once more
    return True


def main() -> None:
    """Bring back what can be, and say so."""
    with told():
        repo = Repo(_wait_for_lock=True)
        release_dead(repo)
        for out, n_files in restore(repo):
            print(f"{out}: {n_files} missing file(s) brought back from DVC's cache")


if __name__ == "__main__":
    main()
