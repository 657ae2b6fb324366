"""The simulator's page in a browser, and that the simulator starts in development only."""

import pytest
from pydantic import ValidationError

from deploy.simulators.graph.seeds import UserSeed
from deploy.simulators.settings import GraphSettings
from tests.support.browsing import Language, Theme, chromium, visitor
from tests.support.graph import DOMAIN, GraphSimulator, tenant_seed


def test_the_page_is_accessible_in_both_languages_and_colour_schemes(graph: GraphSimulator) -> None:
    users = (UserSeed(properties={"displayName": "Anna", "userPrincipalName": f"anna@{DOMAIN}"}),)
    graph.seed(tenant_seed(users=users))
    graph.fault("throttle", times=1)
    languages: tuple[Language, ...] = ("sv", "en")
    themes: tuple[Theme, ...] = ("light", "dark")
    with chromium() as browser:
        for language in languages:
            for theme in themes:
                with visitor(browser, str(graph.control.base_url), language=language, theme=theme) as person:
                    page = person.goto("/")
                    assert page.locator("html").get_attribute("lang") == language
                    assert page.get_by_text(f"anna@{DOMAIN}").count() == 1
                    assert person.axe() == []
                    assert person.faults == []


@pytest.mark.parametrize("environment", [None, "production", "test"])
def test_it_starts_in_development_only(environment: str | None) -> None:
    said = {} if environment is None else {"environment": environment}
    with pytest.raises(ValidationError, match="environment"):
        GraphSettings.model_validate({**said, "certificate_file": "x", "key_file": "x"})


def test_it_does_not_start_without_a_token_for_control() -> None:
    settings = GraphSettings.model_validate({"environment": "development", "certificate_file": "x", "key_file": "x"})
    with pytest.raises(ValueError, match="STAFETT_SIM_CONTROL_TOKEN"):
        settings.control_secret()
