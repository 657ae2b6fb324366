"""Files in lists: newest first, page by page, with counts and without people; what was set aside, in words."""

from typing import Any
from uuid import UUID

from tests.integration.ingestion.test_files import Desk, desk, line, sheet, staff

__all__ = ["desk"]


async def listed(desk: Desk, **query: str) -> dict[str, Any]:
    answer = await desk.site.client.get("/v1/files", params=query, headers=desk.headers())
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_files_are_listed_newest_first_page_by_page_and_name_nobody(desk: Desk) -> None:
    sent = [(await desk.told(staff(*range(1, 2 + n)), name=f"{n}.csv"))["id"] for n in range(5)]
    found, after = [], None
    while True:
        page = await listed(desk, limit="2", **({"after": after} if after else {}))
        found += page["items"]
        if (after := page["next"]) is None:
            break
    assert [one["id"] for one in found] == sent[::-1]
    assert found[0]["counts"] == {"applied": 1, "unchanged": 4, "joiner": 1, "missing": 0, "rejectedRows": 0}
    assert "p-1" not in str(found)
    assert (await listed(desk, source="https://hr.other.example"))["items"] == []
    refused = await desk.told(b"", name="empty.csv")
    assert [one["id"] for one in (await listed(desk, state="refused"))["items"]] == [refused["id"]]
    plan = [row[0] for row in desk.site.rows(
        "EXPLAIN SELECT id FROM file_import WHERE organisation = %s ORDER BY seq DESC LIMIT 25", desk.key
    )]  # fmt: skip
    assert "Sort" not in str(plan), plan


async def test_another_organisation_lists_none_of_ours(desk: Desk) -> None:
    await desk.told(staff(1))
    answer = await desk.site.client.get("/v1/files", headers=desk.site.bearer("nobody", "files:write"))
    assert answer.status_code == 403


async def test_files_with_people_who_are_held_are_found_until_it_is_decided(desk: Desk) -> None:
    await desk.told(staff(*range(1, 11)))
    file = (await desk.told(staff(1, 2), "full", plan="false"))["id"]
    (found,) = (await listed(desk, state="held"))["items"]
    assert (found["id"], found["code"], found["counts"]["held"]) == (file, "file.missing_many", 8)
    assert found["parameters"] == {"missing": 8, "population": 10}
    kept = desk.site.rows("SELECT counts FROM file_import WHERE id = %s", UUID(file))[0][0]
    assert kept["states"]["held"] == 8, "a list does not count the people of each file anew"
    await desk.do(file, "refuse", reason="halv fil")
    assert (await listed(desk, state="held"))["items"] == []


async def test_a_plan_says_what_is_yet_to_be_applied_and_is_narrowed_by_kind(desk: Desk) -> None:
    await desk.told(staff(1, 2))
    found = await desk.told(sheet(line("p-1", "Ek, Bo"), line("p-3")), "full")
    assert found["toApply"] == {"joiner": 1, "mover": 1, "leaver": 1}
    movers = await desk.persons(found["id"], kind="mover")
    assert [one["externalId"] for one in movers] == ["p-1"]
    await desk.do(found["id"], "apply")
    await desk.work()
    assert (await desk.status(found["id"]))["toApply"] == {}


async def test_what_was_set_aside_is_told_in_words_of_both_languages(desk: Desk) -> None:
    found = await desk.told(sheet(line("p-1"), line("p-2", FROM="igår"), "P;p-3;kort;"), name="r.csv")
    assert found["state"] == "refused", "a short last row is a file that was cut off"
    found = await desk.told(sheet(line("p-2", FROM="igår"), "P;p-3;kort;", line("p-1")))
    path = f"/v1/files/{found['id']}"
    rows = (await desk.site.get(f"{path}/rejected", desk.headers())).json()["items"]
    assert [(one["row"], one["code"], one["parameters"]) for one in rows] == [
        (2, "date.unreadable", {"forms": rows[0]["parameters"]["forms"]}),
        (3, "row.columns", {"found": 4, "wanted": 21}),
    ]
    swedish = (await desk.site.get(f"{path}/rejects?language=sv", desk.headers())).text
    assert "Raden har 4 kolumner, rubrikraden 21." in swedish
    assert "The row has 4 columns, the header 21." in (await desk.site.get(f"{path}/rejects", desk.headers())).text
