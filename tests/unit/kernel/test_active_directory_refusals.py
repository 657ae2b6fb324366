"""What Active Directory's refusals mean: whose trouble they are, and what IT is told."""

import pytest

from contracts.texts import CODES
from services.kernel.directory import DirectoryAccess, PasswordPolicy, ValueExists, ValueGone, ValueTaken
from services.kernel.directory.extended import meaning
from services.kernel.directory.session import Modification, Operation, Session
from services.kernel.failures import Failure, Permanent, Unavailable

BIND = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {}, v1db1"
ON_WINDOWS = "{}: SvcErr: DSID-031A1248, problem 5003 (WILL_NOT_PERFORM), data 0"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("52e", "directory.bind_refused"),
        ("532", "directory.bind_password_expired"),
        ("533", "directory.bind_disabled"),
        ("701", "directory.bind_expired"),
        ("773", "directory.bind_password_expired"),
        ("775", "directory.bind_locked"),
        ("999", "directory.bind_refused"),
    ],
)
def test_a_service_account_that_may_not_bind_concerns_the_target_and_says_what_to_do(data: str, code: str) -> None:
    failure = meaning(49, "invalidCredentials", BIND.format(data))
    assert isinstance(failure, Unavailable)
    assert failure.code == code
    assert code in CODES


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (
            19,
            "0000052D: Constraint violation - check_password_restrictions: the password is too short.",
            PasswordPolicy,
        ),
        (53, ON_WINDOWS.format("0000052D"), PasswordPolicy),
        (19, "0000202F: samldb: userPrincipalName 'a@x' is already in use ", ValueTaken),
        (19, "000021C8: AtrErr: DSID-03200E8C, #1: 0: 000021C8: DSID-03200E8C, problem 1005", ValueTaken),
        (68, "Attribute member already exists for target GUID 1", ValueExists),
        (68, ON_WINDOWS.format("00000562"), ValueExists),
        (53, "Attribute member already deleted for target GUID 1", ValueGone),
        (53, "Attribute member doesn't exist for target GUID 1", ValueGone),
        (53, "00002035: Unable to find GUID for DN CN=x", ValueGone),
        (53, ON_WINDOWS.format("00000561"), ValueGone),
        (20, "0000200D: SINGLE-VALUE attribute adminDescription on CN=x specified more than once", ValueExists),
        (50, "00002098: Object CN=x has no write property access", Permanent),
        (53, "00002035: setup_io: it's not allowed", Permanent),
        (53, "Failed to find a structural class for CN=x", Permanent),
    ],
)
def test_what_concerns_one_object_never_opens_the_breaker_for_everybody(
    code: int, message: str, kind: type[Failure]
) -> None:
    failure = meaning(code, "result", message)
    assert isinstance(failure, kind)
    assert not isinstance(failure, Unavailable)
    assert failure.code in CODES
    assert "CN=" not in str(failure.parameters)


@pytest.mark.parametrize("number", ["00002010", "000021A2"])
def test_a_domain_controller_that_can_serve_nobody_is_away(number: str) -> None:
    assert isinstance(meaning(53, "unwillingToPerform", ON_WINDOWS.format(number)), Unavailable)


@pytest.mark.parametrize("code", [10, 16, 32, 51, 52, 68])
def test_what_the_result_code_says_enough_about_is_left_to_it(code: int) -> None:
    assert meaning(code, "result", "0000208D: NameErr: DSID-03100245") is None


@pytest.mark.parametrize("url", ["ldap://dc.example", "ldap://127.0.0.1:1"])
def test_no_password_goes_over_a_connection_that_is_not_encrypted(url: str) -> None:
    session = Session(DirectoryAccess(url, "x", "x", active_directory=True))
    with pytest.raises(Unavailable) as refused:
        session.modify("CN=x", [Modification(Operation.REPLACE, "unicodePwd", (b"x",))])
    assert refused.value.code == "directory.not_encrypted"
    with pytest.raises(Unavailable) as refused:
        session.add("CN=x", ["user"], {"UnicodePwd": (b"x",)})
    assert refused.value.code == "directory.not_encrypted"
