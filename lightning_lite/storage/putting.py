"""One `put` into a drive on this machine: staged aside without the lock, then brought to its place."""

from __future__ import annotations

from contextlib import suppress
from stat import S_ISDIR

from lightning_lite.storage import disk
from lightning_lite.storage.copying import SMALL, Told
from lightning_lite.storage.errors import DriveDuplicate, DriveError, DriveSourceChanged, shown
from lightning_lite.storage.layout import CLOSED, Layout
from lightning_lite.storage.modes import stored_mode
from lightning_lite.storage.moving import HasSecondName, give_up, is_movable, protected, second_name
from lightning_lite.storage.placing import Placer, admit_replacement
from lightning_lite.storage.staging import Staged
from lightning_lite.storage.store import Parts, Source
from lightning_lite.storage.trees import TreeCopier, copy_file


class Put:
    """What one `put` has to do.

    Args:
        layout: The folders of the drive.
        owner: Component that puts.
        parts: Path below it.
        source: What is put.
        fd: The same, open.
        exclusive: Refuse if another component has something there.
        durable: Whether it survives the loss of power.
    """

    def __init__(
        self,
        layout: Layout,
        owner: str,
        parts: Parts,
        source: Source,
        fd: int,
        *,
        exclusive: bool,
        durable: bool,
    ) -> None:
        self._layout = layout
        self._owner = owner
        self._parts = parts
        self._source = source
        self._fd = fd
        self._info = disk.fstat(fd)
        self._is_folder = S_ISDIR(self._info.st_mode)
        self._exclusive = exclusive
        self._durable = durable
        self._placer = Placer(layout, durable=durable)

    def admit(self) -> None:
        """Refuse at once what would be refused after a long copy."""
        if not self._is_folder and self._info.st_size <= SMALL:
            return  # that will be as soon
        self._admit_place(is_locked=False)
        path = "/".join(self._parts)
        admit_replacement(f"{self._layout.space(self._owner)}/{path}", path, is_folder=self._is_folder)

    def copy(self, told: Told) -> None:
        """Bring a copy of the source into the drive."""
        aside = self._layout.aside
        with aside.new_folder() if self._is_folder else aside.new_file() as staged:
            self._fill(staged, told)
            self._place(staged.path)
            staged.is_placed = not self._is_folder  # a folder may have changed places with another one

    def move(self, told: Told) -> None:
        """Bring the source itself into the drive if that is possible, else a copy, and remove the source."""
        moved = self._move_folder() if self._is_folder else self._move_file()
        if not moved:
            self.copy(told)
        if not (moved and self._is_folder):
            give_up(self._fd, self._source.path)

    def _admit_place(self, *, is_locked: bool) -> None:
        """Refuse what belongs to others, and what is another spelling of what is there."""
        components = self._layout.components() if self._exclusive else [self._owner]
        for component in components:
            if component != self._owner and self._layout.has(component, self._parts):
                raise DriveDuplicate(
                    f"The file {shown('/'.join(self._parts))} can't be added as already found in the Drive. "
                    f"It belongs to {shown(component)}: use another name, "
                    f"Drive(..., component_name={component!r}) to act as its owner, "
                    f"or Drive(..., allow_duplicates=True).",
                    owner=component,
                )
        if self._source.portable:
            for component in components:
                space = self._layout.space(component)
                self._layout.name_index.refuse_other_spelling(space, self._parts, is_locked=is_locked)

    def _place(self, staged: str) -> None:
        with self._layout.changing():
            self._admit_place(is_locked=True)
            self._placer.place(staged, (self._owner, *self._parts), is_folder=self._is_folder)

    def _move_file(self) -> bool:
        with second_name(self._fd, self._source, self._layout.aside) as link:
            if link is None:
                return False
            with protected(self._fd, link):
                if self._durable:
                    disk.fsync(self._fd)
                self._place(link)
        return True

    def _move_folder(self) -> bool:
        parts = (self._owner, *self._parts)
        if self._durable:
            return False  # to flush all of it takes as long as a copy
        with suppress(FileExistsError):
            disk.mkdir(self._layout.space(self._owner), CLOSED)
        if not self._placer.may_adopt(self._fd, parts) or not is_movable(self._fd, self._source):
            return False
        try:
            with (
                protected(self._fd, self._source.path),
                self._layout.aside.new_file(),  # when it goes away, that wakes those who wait for arrivals
                self._layout.changing(),
            ):
                self._admit_place(is_locked=True)
                return self._placer.adopt(self._source.path, parts)
        except HasSecondName:
            return False

    def _fill(self, staged: Staged, told: Told) -> None:
        source = self._source
        if not self._is_folder:
            mode = stored_mode(self._info.st_mode)
            copy_file(
                self._fd, staged.fd, self._info, mode, name=source.path, durable=self._durable, told=told
            )
            return
        copier = TreeCopier(
            mode=stored_mode,
            admit=source.admit,
            admit_folder=source.bounds.refuse_root,
            open_link=lambda path: source.bounds.open(f"{source.path}/{path}"),
            durable=self._durable,
            told=told,
        )
        try:
            copier.copy_folder(self._fd, staged.fd)
        except DriveError:
            raise
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DriveSourceChanged(
                f"{shown(source.path)} changed while it was copied: {shown(error.filename)} is not there "
                f"any more; do it again."
            ) from error
