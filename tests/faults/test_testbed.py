"""What scripts/chaos reads from the gateway's log."""

from datetime import UTC, datetime
from pathlib import Path

from mnist_torchserve.faults import testbed


def test_requests_without_an_answer_are_counted_in_rotated_logs_too(tmp_path: Path) -> None:
    service = testbed.Testbed(tmp_path)
    service.gateway.logs.mkdir(parents=True)
    line = '{{"node":"x","status":{},"time":"2026-01-01T00:00:{:02}.000Z"}}\n'
    (service.gateway.logs / "access.log.1").write_text(line.format(0, 1) + line.format(0, 10) + line.format(200, 11))
    service.gateway.access_log.write_text(line.format(0, 12) + line.format(504, 13))
    assert service.dropped(datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)) == 2
