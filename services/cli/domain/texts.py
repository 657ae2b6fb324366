"""The texts themselves: (Swedish, English)."""

from types import MappingProxyType

from contracts.texts import CODES, Texts

__all__ = ["CODES", "MESSAGES", "REMEDIES", "Texts"]

MESSAGES: Texts = MappingProxyType(
    {
        "operations_columns": (
            "tjänst|opublicerat|arbete|borta|oläsliga meddelanden",
            "service|unpublished|work|away|dead letters",
        ),
        "retention_columns": (
            "tjänst|vad|dagar|äldsta|senast gallrat|rader|nästa",
            "service|what|days|oldest|last purge|rows|next",
        ),
        "retention_paused": (
            "{service}: gallringen är stoppad sedan {since}.",
            "{service}: the purge has been paused since {since}.",
        ),
        "retention_paused_by": (
            "{service}: gallringen är stoppad av {actor} sedan {since}: {reason}",
            "{service}: the purge was paused by {actor} at {since}: {reason}",
        ),
        "retention_running": ("pågår", "running"),
        "retention_all": ("{what} (alla)", "{what} (of all)"),
        "dead_columns": ("id|kö|typ|orsak|mottaget", "id|queue|type|cause|received"),
        "no_dead": ("Inga oläsliga meddelanden.", "No dead letters."),
        "policy_active": (
            "Aktiv: {hash} sedan {activatedAt}, av {actor}: {reason}",
            "Active: {hash} since {activatedAt}, by {actor}: {reason}",
        ),
        "policy_none": ("Ingen tabell är aktiv.", "No table is active."),
        "policy_differs": (
            "Installationens fil skiljer sig ({hash}). Se vad den skulle ändra: stafett policy plan --table {table}",
            "The installation's file differs ({hash}). See what it would change: stafett policy plan --table {table}",
        ),
        "policy_refused": ("{file} kan inte användas: {row}: {reason}", "{file} cannot be used: {row}: {reason}"),
        "tables_columns": ("tabell|aktiv|sedan|av|väntar", "table|active|since|by|waits"),
        "policy_activated": (
            "Aktiverad: {hash}. {lookedAtAgain} personer gås igenom, {perSecond:.0f} i sekunden.",
            "Activated: {hash}. {lookedAtAgain} people are looked at again, {perSecond:.0f} a second.",
        ),
        "confirm_policy": ("Aktivera {hash}?", "Activate {hash}?"),
        "not_json": ("{file} är inte JSON: {reason}", "{file} is not JSON: {reason}"),
        "plan_columns": ("om tabellen vore aktiv nu|personer", "if the table were active now|people"),
        "plan_people": ("bedömda", "judged"),
        "plan_opens": ("får sitt konto öppnat", "get their account opened"),
        "plan_prepares": ("får ett förberett konto", "get an account prepared"),
        "plan_gains": ("får grupper eller licenser", "get groups or licences"),
        "plan_losses": ("förlorar grupper eller licenser", "lose groups or licences"),
        "plan_renames": ("utan namn skulle få ett annat", "without a name would get another one"),
        "plan_values_columns": ("målsystem|slag|namn|får|förlorar", "target|kind|name|get|lose"),
        "plan_closes": ("får sitt konto stängt", "get their account closed"),
        "plan_deletes": ("får sitt konto borttaget", "get their account deleted"),
        "plan_reschedules": ("får andra datum", "get other dates"),
        "plan_allowance": ("borttagningar som vakten släpper igenom", "removals that the guard lets through"),
        "plan_held": (
            "{count} förlorar något genast, {allowance} är tillåtet: aktiveringen måste bekräftas.",
            "{count} lose something at once, {allowance} are allowed: the activation must be confirmed.",
        ),
        "baseline_columns": (
            "ärende|minuter|ledtid, timmar|mätt|antal|av|hur",
            "case|minutes|lead time, hours|measured|cases|by|how",
        ),
        "baseline_assumed": (
            "{kind}: {minutes:g} minuter är ett antagande tills någon har mätt.",
            "{kind}: {minutes:g} minutes are an assumption until somebody has measured.",
        ),
        "baseline_none": (
            "Inget är mätt än. Mät några ärenden innan de automatiseras: stafett baseline measure joiner --minutes …",
            "Nothing is measured yet. Time some cases before they are automated: stafett baseline measure joiner"
            " --minutes …",
        ),
        "uploading": ("Lämnar filen", "Sending the file"),
        "file_working": ("Läser filen", "Reading the file"),
        "file_line": ("{id} {name} ({kind}): {word}, {rows} rader", "{id} {name} ({kind}): {word}, {rows} rows"),
        "file_same": (
            "Samma fil har redan lämnats: den ger inga nya uppgifter.",
            "The same file was handed in before: it gives no new facts.",
        ),
        "file_next": ("Genomför: stafett file apply {id}", "Carry it out: stafett file apply {id}"),
        "confirm_file_release": (
            "Låt {count} personer som hålls i {name} sluta? Det kan inte tas tillbaka.",
            "Let {count} people who are held in {name} leave? It cannot be taken back.",
        ),
        "confirm_file_refuse": (
            "Behåll {count} personer som hålls i {name}? I den här filen är det sedan avgjort.",
            "Keep {count} people who are held in {name}? In this file it is decided then.",
        ),
        "file_held": (
            "{count} hålls: stafett file release {id} --reason …, eller refuse",
            "{count} are held: stafett file release {id} --reason …, or refuse",
        ),
        "file_goes_on": (
            "Filen fortsätter utan dig: stafett file status {id}",
            "The file goes on without you: stafett file status {id}",
        ),
        "file_rejects": (
            "{count} rader är avvisade: stafett file rejects {id}",
            "{count} rows were rejected: stafett file rejects {id}",
        ),
        "rejects_saved": ("Avvisade rader finns i {path}", "Rejected rows are in {path}"),
        "file_columns": ("Vad|Antal", "What|Count"),
        "file_people_columns": ("Person i källan|Vad|Läge|Fält", "Person at the source|What|State|Fields"),
        "importing": ("Lämnar händelser", "Sending events"),
        "verdict": ("Svar", "Verdict"),
        "count": ("Antal", "Count"),
        "rejects_written": ("{count} avvisade rader finns i {path}", "{count} rejected lines are in {path}"),
        "empty_file": ("Filen är tom", "The file is empty"),
        "name": ("Namn", "Name"),
        "login": ("Inloggning", "Login"),
        "id": ("Id", "Id"),
        "target": ("Mål", "Target"),
        "desired": ("Önskat", "Desired"),
        "observed": ("Observerat", "Observed"),
        "verified_at": ("Kontrollerat", "Verified"),
        "why": ("Varför", "Why"),
        "case": ("Ärende", "Case"),
        "kind": ("Typ", "Kind"),
        "reason": ("Orsak", "Reason"),
        "state": ("Läge", "State"),
        "effective": ("Gäller från", "Effective"),
        "step": ("Steg", "Step"),
        "due": ("Senast", "Due"),
        "problem": ("Problem", "Problem"),
        "remains": ("Kvar att göra", "What remains"),
        "nothing_remains": ("Inget återstår", "Nothing remains"),
        "follow_up": ("senare", "follow-up"),
        "took": ("Tog {seconds} s", "Took {seconds} s"),
        "none_found": ("Ingen träff på {query}", "Nobody found for {query}"),
        "several_found": ("Flera träffar, ange id", "Several found, give an id"),
        "more": ("fler finns", "there are more"),
        "no_open_cases": ("Inga öppna ärenden", "No open cases"),
        "following": ("Följer", "Following"),
        "stopped": ("Avbrutet; ärendet fortsätter utan dig", "Stopped; the case goes on without you"),
        "timed_out": ("Inte klart inom {seconds} s", "Not done within {seconds} s"),
        "facts": ("Uppgifter från HR", "Facts from HR"),
        "asserted": ("Sagt", "Asserted"),
        "source": ("Källa", "Source"),
        "revision": ("Revision", "Revision"),
        "actor": ("Av", "By"),
        "decided": ("Revision {revision}, policy {hash}", "Revision {revision}, policy {hash}"),
        "row": ("tabell {table}, rad {row}", "table {table}, row {row}"),
        "given": ("finns", "there"),
        "given_next": ("ska ges", "to be given"),
        "taken_next": ("ska tas bort", "to be taken away"),
        "no_facts": ("Uppgifterna kan inte visas: {title}", "The facts cannot be shown: {title}"),
        "hold": ("Spärr", "Hold"),
        "since": ("Sedan", "Since"),
        "no_holds": ("Inget är spärrat", "Nothing is held"),
        "unknown_hold": ("Det finns ingen spärr {hold}", "There is no hold {hold}"),
        "confirm_release": (
            "Släpp {count} spärrade borttagningar? Det går inte att ångra.",
            "Release {count} held removals? This cannot be undone.",
        ),
        "not_an_id": ("{text} är inget id", "{text} is not an id"),
        "one_missing": ("{what} saknas: ange {what}, eller --all", "{what} is missing: give {what}, or --all"),
        "confirm_command": (
            "Det gäller {count} personer och målsystem. Vill du fortsätta?",
            "This concerns {count} people and targets. Go on?",
        ),
        "command_open": (
            "{type} av {actor}, {acceptedAt}: {service} har inte utfört det än. {matched} träffar: {progress}",
            "{type} by {actor}, {acceptedAt}: {service} has not carried it out yet. {matched} matches: {progress}",
        ),
        "command_done": (
            "{type} av {actor}, {acceptedAt}: {service} utförde det {carriedOutAt}, {count} rader."
            " {matched} träffar: {progress}",
            "{type} by {actor}, {acceptedAt}: {service} carried it out at {carriedOutAt}, {count} rows."
            " {matched} matches: {progress}",
        ),
        "paused": (
            "{target} är pausat: inget skrivs dit förrän någon kör `stafett resume`",
            "{target} is paused: nothing is written there until someone runs `stafett resume`",
        ),
        "confirm_disable": (
            "Stäng allt som {name} har, nu, tills någon häver det?",
            "Close everything that {name} has, now, until somebody restores it?",
        ),
        "access_effective": ("Det gäller nu (ärende {case})", "It holds now (case {case})"),
        "access_proposed": (
            "Föreslaget. Någon annan godkänner inom ett dygn: stafett access approve {id}",
            "Proposed. Somebody else approves it within a day: stafett access approve {id}",
        ),
        "access_refused": ("Nekat; inget ändrades", "Refused; nothing was changed"),
        "access_lapsed": ("Förslaget hann förfalla; inget ändrades", "The proposal had lapsed; nothing was changed"),
        "access_columns": ("Beslut|Person|Vad|Till och med|Läge|Av|Skäl", "Decision|Person|What|Until|State|By|Reason"),
        "no_access": ("Inget väntar", "Nothing waits"),
        "activation_issued": (
            "Inloggningsnamn {login}, gäller till {until}. Koden visas inte igen: lämna den bara till personen själv.",
            "Login {login}, good until {until}. The code is not shown again: give it to nobody but the person.",
        ),
        "activation_opens": ("Inloggningen fungerar från {at}", "The login works from {at}"),
        "activation_by": (
            "Utfärdad av {actor} {at}, gäller till {until}",
            "Issued by {actor} {at}, good until {until}",
        ),
        "identity_columns": (
            "Ärende|Vad|Läge|Känd sedan tidigare|Kom senare|Sedan",
            "Case|What|State|Known before|Came later|Since",
        ),
        "identity_sides": ("Känd sedan tidigare|Kom senare|Skiljer sig", "Known before|Came later|Differs"),
        "identity_decided": ("Avgjort {at} av {by}: {reason}", "Decided {at} by {by}: {reason}"),
        "identity_alias": ("{id} är ett alias för {of}", "{id} is an alias of {of}"),
        "org_empty": ("Ingen enhet gäller den dagen.", "No unit is in effect on that day."),
        "org_on": ("Organisationen {on}", "The organisation on {on}"),
        "org_people": ("{people} personer", "{people} people"),
        "org_below": ("{units} enheter under", "{units} units below"),
        "org_begins": ("börjar", "begins"),
        "org_ends": ("sista dagen", "last day"),
        "org_changes": ("ändras", "changes"),
        "org_change_columns": ("från|enhet|namn|vad", "from|unit|name|what"),
        "org_problem_columns": ("enhet|namn|varför|personer", "unit|name|why|people"),
        "org_no_problem": ("Inget att se över.", "There is nothing to look at."),
        "org_plan_nothing": ("Planen ändrar inget.", "The plan changes nothing."),
        "org_plan_day": (
            "{on}: {units} enheter ändras, {people} personer berörs",
            "{on}: {units} units change, {people} people are concerned",
        ),
        "org_plan_columns": ("enhet|namn|vad|nu|då", "unit|name|what|now|then"),
        "org_plan_moves": (
            "{people} personer flyttas från {unit} till {to}",
            "{people} people move from {unit} to {to}",
        ),
        "org_nowhere": ("ingen enhet", "no unit"),
        "org_plan_wrong": (
            "{count} fel: rätta planen innan HR lämnar den.",
            "{count} things would be wrong: mend the plan before HR tells it.",
        ),
        "org_plan_well": ("Planen går ihop. Inget är ändrat.", "The plan holds together. Nothing is changed."),
        "org_kind_created": ("ny", "new"),
        "org_kind_closed": ("stängs", "closes"),
        "org_kind_moved": ("flyttas", "moves"),
        "org_kind_renamed": ("byter namn", "is renamed"),
        "org_kind_leaders": ("annan chef", "another manager"),
        "org_kind_changed": ("andra uppgifter", "other particulars"),
        "org_no_edits": ("Filen har inga ändringar.", "The file holds no edits."),
        "org_cells": (
            "Rad {row} har fler celler än rubrikraden, eller går inte att läsa.",
            "Row {row} has more cells than the first line, or cannot be read.",
        ),
        "org_no_json": ("Filen är inte JSON.", "The file is no JSON."),
        "org_columns": (
            "Filens första rad ska namnge kolumner, unit bland dem. Okända: {columns}. Kända: {known}.",
            "The file's first line has to name columns, unit among them. Unknown: {columns}. Known: {known}.",
        ),
        "target_columns": (
            "målsystem|läge|i drift|konton|avvikelser|jämfört",
            "target|mode|live|accounts|differences|compared",
        ),
        "target_all": ("alla", "all"),
        "target_live": (
            "{count} enheter i drift i {target}; {people} personer gås igenom.",
            "{count} units live in {target}; {people} people are looked at again.",
        ),
        "confirm_live": (
            "Sätta {units} i drift i {target}? Det gäller {people} personer.",
            "Let {units} go live in {target}? It concerns {people} people.",
        ),
        "drift_columns": ("slag|antal", "kind|count"),
        "drift_standing": (
            "Jämfört {at}: {read} lästa, {skipped} överhoppade medan arbete pågick.",
            "Compared {at}: {read} read, {skipped} passed over while work was under way.",
        ),
        "drift_never": ("Aldrig jämfört.", "Never compared."),
        "drift_running": ("En jämförelse pågår: {soFar} lästa.", "A comparison is under way: {soFar} read."),
        "drift_problem": ("Den senaste misslyckades: {problem}", "The last one failed: {problem}"),
        "drift_asked": ("{target} jämförs så snart det går.", "{target} is compared as soon as possible."),
        "drift_finding_columns": (
            "id|slag|person|attribut|ska vara|är|sedan",
            "id|kind|person|attribute|shall be|is|since",
        ),
        "no_drift": ("Inga avvikelser.", "No differences."),
        "confirm_drift": ("{decision} för {count} avvikelser?", "{decision} for {count} differences?"),
        "confirm_drift_person": (
            "{decision} det som skiljer sig för person {person}?",
            "{decision} what differs of person {person}?",
        ),
        "drift_decided": (
            "{decided} avgjorda; {lookedAt} personer gås igenom.",
            "{decided} decided; {lookedAt} people are looked at.",
        ),
        "takeover_asked": ("{target} läses så snart det går.", "{target} is read as soon as possible."),
        "takeover_planning": ("En plan görs.", "A plan is being made."),
        "takeover_plan": (
            "Plan {plan} från {at}: {read} konton lästa, {people} personer utan konto hos oss.",
            "Plan {plan} of {at}: {read} accounts read, {people} people without an account of ours.",
        ),
        "takeover_columns": (
            "kontona är|antal|godkända|övertagna|nekade",
            "accounts are|count|approved|adopted|refused",
        ),
        "takeover_row_columns": (
            "konto|inloggning|adresser|genom|kandidater|övertaget",
            "entry|login|addresses|by|candidates|adopted",
        ),
        "confirm_adopt": ("Ta över {count} konton i {target}?", "Adopt {count} accounts in {target}?"),
        "takeover_approved": (
            "{approved} godkända; de märks så snart det går.",
            "{approved} approved; they are marked as soon as possible.",
        ),
        "confirm_dismiss": ("Är {count} konton i {target} ingens?", "Are {count} accounts in {target} nobody's?"),
        "takeover_dismissed": (
            "{dismissed} lämnas som de är; ett par kan ändå godkännas.",
            "{dismissed} are left as they are; a pair can be approved all the same.",
        ),
        "no_identity": ("Ingen fråga om identitet väntar", "No question of identity waits"),
        "no_pair": ("{text} är inte KÄLLA=ID", "{text} is not SOURCE=EXTERNAL"),
        "birth_date": ("Födelsedatum", "Birth date"),
        "employee_number": ("Anställningsnummer", "Employee number"),
        "unit": ("Enhet", "Unit"),
        "source_ids": ("Id i källorna", "Ids at sources"),
        "confirm_same": (
            "Är {gone} och {kept} en person, som fortsätter med id och konto för {kept}?",
            "Are {gone} and {kept} one person, who goes on with the id and account of {kept}?",
        ),
        "confirm_separate": (
            "Är {person} och {other} två personer? Frågan ställs inte igen.",
            "Are {person} and {other} two people? The question is not asked again.",
        ),
        "confirm_returned": (
            "Är {other} någon annan än {person}? {other} tas in direkt; det HR har lämnat om {person} under id:t upphör"
            " i dag.",
            "Is {other} somebody else than {person}? {other} is told of at once; what HR told of {person} under the id"
            " ends today.",
        ),
        "confirm_split": (
            "Hör {ids} till någon annan än {name}?",
            "Are {ids} somebody else's than {name}'s?",
        ),
        "confirm_retire": (
            "Avveckla det som hör till aliaset {name} ({logins}), som för någon som slutar?",
            "Wind up what hangs on the alias {name} ({logins}), as for somebody who leaves?",
        ),
        "erase_columns": ("Det här töms|Antal", "What is emptied|Count"),
        "erase_facts": ("uppgifter från HR", "facts from HR"),
        "erase_versions": ("tidigare versioner av posten", "earlier versions of the record"),
        "erase_ids": ("id i källorna", "ids at sources"),
        "erase_numbers": ("personnummer", "official numbers"),
        "erase_scimNames": ("namn hos SCIM-klienter", "names at SCIM clients"),
        "erase_decisions": ("beslut om åtkomst", "decisions about access"),
        "erase_files": ("filer som personen finns i", "files that the person is in"),
        "erase_keeps": ("Det här finns kvar:", "What stays:"),
        "erase_type": (
            "Det går inte att ångra. Skriv personens id för att gallra",
            "It cannot be undone. Type the person's id to erase",
        ),
        "erase_not_typed": ("Det var inte id:t; inget är gallrat", "That was not the id; nothing is erased"),
        "erase_done": (
            "{person} är gallrad. Meddelandens id finns kvar i {inbox_days} dagar och oläsliga meddelanden, krypterade,"
            " i {deadLetters_days}; säkerhetskopior rörs inte.",
            "{person} is erased. Ids of messages are kept for {inbox_days} days and dead letters, encrypted, for"
            " {deadLetters_days}; backups are not touched.",
        ),
        "erase_until": (" till {until}", " until {until}"),
        "resumed": ("{target} skrivs det till igen", "{target} is written to again"),
        "paused_since": ("{target} pausat sedan {since}", "{target} paused since {since}"),
        "paused_by": ("{target} pausat av {actor}: {reason}", "{target} paused by {actor}: {reason}"),
        "not_both": ("Ange {what} eller --all, inte båda", "Give {what} or --all, not both"),
        "progress": ("{name} {case}: {state}, {count} steg kvar", "{name} {case}: {state}, {count} steps left"),
        "confirm_letters": (
            "Det gäller {count} undanlagda meddelanden. Vill du fortsätta?",
            "This concerns {count} dead letters. Go on?",
        ),
        "meanwhile": (
            "{count} hann någon annan avgöra eller håller på med; resten gick vidare",
            "{count} were decided meanwhile, or somebody is about to; the others went on",
        ),
        "released": ("{count} kommandon är lämnade till {services}", "{count} commands were handed to {services}"),
        "only_refused": (
            "Inget att släppa: {count} spärrade är nekade. En nekad släpps med sitt id: stafett release SPÄRR",
            "Nothing to release: {count} held are refused. A refused one is released by its id: stafett release HOLD",
        ),
        "sent": ("Kommando {id} är lämnat till {service}", "Command {id} was handed to {service}"),
        "replay": ("{producers} berättar allt igen för {to}", "{producers} will tell {to} everything again"),
        "unreachable": (
            "{url} svarar inte. Kör `make up` och försök igen.",
            "{url} does not answer. Run `make up` and try again.",
        ),
        "token_missing": (
            "Ingen token. Kör `make token ORG=alvsund`, eller sätt STAFETT_TOKEN eller STAFETT_TOKEN_FILE.",
            "No token. Run `make token ORG=alvsund`, or set STAFETT_TOKEN or STAFETT_TOKEN_FILE.",
        ),
        "what_to_do": ("Gör så här", "What to do"),
    }
)

REMEDIES: Texts = MappingProxyType(
    {
        "token.expired": ("Hämta en ny token.", "Fetch a new token."),
        "scope.missing": ("Be om en token med den behörighet som nämns.", "Ask for a token with the scope named."),
        "command.id_reused": ("Skicka igen med ett nytt id.", "Send it again with a new id."),
        "target.unknown": (
            "Se vilka som finns: stafett target list, eller för alla tjänster stafett operations.",
            "See which there are: stafett target list, or of all services stafett operations.",
        ),
        "target.already_paused": ("Släpp det med `stafett resume`.", "Let it go with `stafett resume`."),
        "target.not_paused": ("Inget behöver göras.", "Nothing needs to be done."),
        "access.own_approval": (
            "Be en kollega köra samma kommando.",
            "Ask a colleague to run the same command.",
        ),
        "access.decided": ("Titta med `stafett access list PERSON`.", "Look with `stafett access list PERSON`."),
        "access.nothing_to_do": (
            "Titta med `stafett access list PERSON`.",
            "Look with `stafett access list PERSON`.",
        ),
        "command.under_way": ("Följ det med `stafett command`.", "Follow it with `stafett command`."),
        "command.nothing_to_do": (
            "Titta med `stafett holds` eller `stafett person`.",
            "Look with `stafett holds` or `stafett person`.",
        ),
        "activation.no_account": (
            "Vänta tills kontot finns: stafett person PERSON.",
            "Wait until there is an account: stafett person PERSON.",
        ),
        "activation.own": ("Be en kollega utfärda koden.", "Ask a colleague to issue the code."),
        "activation.not_configured": (
            "Sätt STAFETT_ACTIVATION_KEY för accounts.",
            "Set STAFETT_ACTIVATION_KEY for accounts.",
        ),
        "identity.decided": (
            "Se vem som avgjorde det: stafett identity show ÄRENDE.",
            "See who decided it: stafett identity show CASE.",
        ),
        "person.quarantined": ("Avgör frågan först: stafett identity list.", "Decide it first: stafett identity list."),
        "service.unknown": ("Välj en av tjänsterna som nämns.", "Choose one of the services named."),
        "file.none_held": (
            "Se vilka som hålls: stafett file status.",
            "See how the file stands: stafett file status.",
        ),
        "file.not_done": ("Genomför resten av filen först.", "Apply the rest of the file first."),
        "file.overtaken": ("Planera filen en gång till.", "Plan the file once more."),
        "erasure.key_missing": (
            "Sätt STAFETT_ERASURE_KEY för ingestion och accounts.",
            "Set STAFETT_ERASURE_KEY for ingestion and accounts.",
        ),
        "erasure.alias": ("Gallra personen som id:t hör till.", "Erase the person that the id belongs to."),
        "erasure.has_aliases": (
            "Dela ut posterna igen och gallra var och en.",
            "Split the records out again, and erase each.",
        ),
        "erasure.open_case": ("Avgör ärendet om identitet först.", "Decide the case of identity first."),
        "erasure.in_file": (
            "Genomför eller neka filen, och avgör om dem som hålls i den.",
            "Apply or refuse the file, and decide about who is held in it.",
        ),
        "erasure.untold": ("Försök igen om en stund.", "Try again in a while."),
        "401": ("Hämta en ny token och försök igen.", "Fetch a new token and try again."),
        "403": ("Be om rätt behörighet.", "Ask for the right scope."),
        "404": (
            "Kontrollera id. Skyddade personer visas bara med särskild behörighet.",
            "Check the id. Protected people are shown only to a special scope.",
        ),
        "target.not_staged": (
            "Inget behövs: alla skrivs redan. Se `stafett target list`.",
            "Nothing is needed: everybody is written. See `stafett target list`.",
        ),
        "target.count": ("Antalet har ändrats; gör om.", "The number has changed; do it once more."),
        "unit.unknown": (
            "Kontrollera enhetens id hos HR; den ska ha kommit som händelse först.",
            "Check the unit's id with HR; its event has to come first.",
        ),
        "takeover.overtaken": (
            "Titta på den nya planen: stafett takeover show MÅL.",
            "Look at the new plan: stafett takeover show TARGET.",
        ),
        "takeover.missing": ("Gör en plan: stafett takeover plan MÅL.", "Make a plan: stafett takeover plan TARGET."),
        "takeover.pairs": (
            "Se kontona och deras kandidater: stafett takeover show MÅL --certainty ambiguous.",
            "See accounts and their candidates: stafett takeover show TARGET --certainty ambiguous.",
        ),
        "drift.not_possible": (
            "Se vilka beslut som går: stafett drift findings MÅL --json.",
            "See which decisions can be made: stafett drift findings TARGET --json.",
        ),
        "drift.finding_unknown": (
            "Se vad som avviker nu: stafett drift findings MÅL.",
            "See what differs now: stafett drift findings TARGET.",
        ),
        "event.conflict": (
            "Samma id har använts för något annat; byt id.",
            "The id was used for something else; change it.",
        ),
        "409": ("Se hur det står nu; det har ändrats.", "Look how it stands now; it has changed."),
        "413": ("Dela upp filen.", "Split the file."),
        "422": ("Rätta de fält som nämns och skicka igen.", "Correct the fields named and send again."),
        "500": ("Försök igen, och titta i loggen med `make logs`.", "Try again, and look at `make logs`."),
        "503": ("Vänta en stund och skicka samma sak igen.", "Wait a while and send the same again."),
    }
)
