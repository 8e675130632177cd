#include "tests/unit/health/talking.h"

using namespace weir;
using namespace weir::test;
using namespace std::string_literals;

namespace {

std::string message(char type, const std::string& body) {
  const std::size_t length = body.size() + 4;
  return type + "\0\0"s + static_cast<char>(length >> 8) + static_cast<char>(length & 0xFF) + body;
}

std::string error(const std::string& code, const std::string& text) {
  return message('E', "SFATAL\0VFATAL\0C"s + code + "\0M"s + text + "\0Fpostmaster.c\0L1\0\0"s);
}

const std::string kTrusted = message('R', "\0\0\0\0"s);
const std::string kReady =
    message('S', "server_version\00015.1\0"s) + message('K', "12345678") + message('Z', "I");
const std::string kStartup = "\0\0\0\x29\0\3\0\0user\0weir\0application_name\0weir\0\0"s;
const std::string kTerminate = "X\0\0\0\4"s;

std::string standby(const std::string& value) {
  return kTrusted + message('S', "in_hot_standby\0"s + value + '\0') + kReady;
}

Talked answered(const std::string& answer, const std::string& role = "", bool closed = false) {
  ProbeConfig config;
  config.role = role;
  return talk_at_every_cut(make_postgres_talk, config, answer, closed);
}

}  // namespace

TEST_CASE("postgres: a server that lets the user in, asks for a password or refuses the user is alive") {
  CHECK(answered(kTrusted + kReady) == passes(kStartup + kTerminate));
  // Nothing may be said where a password is expected: only an end is no entry in the log.
  CHECK(answered(message('R', "\0\0\0\x0aSCRAM-SHA-256\0\0"s)) == passes(kStartup));
  CHECK(answered(error("28000", "no pg_hba.conf entry for host")) == passes(kStartup));
  CHECK(answered(error("28P01", "password authentication failed")) == passes(kStartup));
  CHECK(answered(error("3D000", "database \"weir\" does not exist")) == passes(kStartup));
  CHECK(answered(message('N', "SNOTICE\0Mhello\0\0"s) + message('v', "\0\0\0\0\0\0\0\0"s) + kTrusted) ==
        goes_on(kStartup));
}

TEST_CASE("postgres: user and database go out as configured") {
  ProbeConfig config;
  config.user = "u";
  config.database = "d b";
  std::string words;
  make_postgres_talk(config)->begin(words);
  CHECK(words == "\0\0\0\x33\0\3\0\0user\0u\0database\0d b\0application_name\0weir\0\0"s);
  CHECK(talk(*make_postgres_talk(config), {error("3D000", "database \"d b\" does not exist")}, false) ==
        fails("database \"d b\" does not exist (3D000)", words));
}

TEST_CASE("postgres: any other error is the reason, in the server's words") {
  CHECK(answered(error("57P03", "the database system is starting up")) ==
        fails("the database system is starting up (57P03)", kStartup));
  CHECK(answered(kTrusted + error("53300", "sorry, too many clients already")) ==
        fails("sorry, too many clients already (53300)", kStartup));
  CHECK(answered(error("57P03", "a\nb\x1b")).reason == "a\\x0ab\\x1b (57P03)");
  CHECK(answered(error("57P03", std::string(5000, 'x'))).reason.size() < 220);
  CHECK(answered("Ecould not fork new process for connection: Cannot allocate memory\n\0"s) ==
        fails("could not fork new process for connection: Cannot allocate memory", kStartup));
  CHECK(answered("", "", true) == fails("closed by the backend, got nothing", kStartup));
  CHECK(answered(kTrusted, "", true) == fails("closed by the backend, got nothing", kStartup));
}

TEST_CASE("postgres: with a role the server must say that it has it") {
  CHECK(answered(standby("off"), "primary") == passes(kStartup + kTerminate));
  CHECK(answered(standby("on"), "standby") == passes(kStartup + kTerminate));
  CHECK(answered(standby("on"), "primary") == fails("it is a standby, not a primary", kStartup + kTerminate));
  CHECK(answered(standby("off"), "standby") ==
        fails("it is a primary, not a standby", kStartup + kTerminate));
  CHECK_THAT(answered(kTrusted + kReady, "primary").reason, Catch::Contains("from version 14 on"));
  CHECK_THAT(answered(message('R', "\0\0\0\3"s), "primary").reason,
             Catch::Contains("asks weir for a password"));
  CHECK(answered(error("28000", "role \"weir\" does not exist"), "primary") ==
        fails("role \"weir\" does not exist (28000)", kStartup));
}

TEST_CASE("postgres: what is no PostgreSQL is told so, and no message is collected beyond 30 kB") {
  CHECK_THAT(answered("HTTP/").reason, Catch::StartsWith("this is not PostgreSQL, got HTTP/"));
  CHECK(answered("S\0\0\0\3"s).state == Heard::State::Failed);
  CHECK_THAT(answered("R\x7f\xff\xff\xff").reason, Catch::Contains("longer than any"));
  CHECK(answered("E" + std::string(40'000, 'x')).reason.size() < 210);
  CHECK(answered("E\0\0\0\4"s) == fails(" ()", kStartup));
  CHECK(answered("R\0\0\0\4"s) == goes_on(kStartup));
}
