#include "health/tls_talk.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <fstream>

#include "tests/support/temp_dir.h"
#include "tests/unit/health/talking.h"

using namespace weir;
using namespace weir::test;

namespace {

constexpr long kDay = 24 * 60 * 60;
const std::time_t kNow = std::time(nullptr);

struct FreeX509 {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

/// A server with a certificate of its own making, which is its own authority.
class Server {
 public:
  explicit Server(const std::string& names, long days = 100)
      : key_(EVP_EC_gen("P-256")), certificate_(X509_new()), context_(SSL_CTX_new(TLS_server_method())) {
    X509* const cert = certificate_.get();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_time_adj_ex(X509_getm_notBefore(cert), -1000, 0, nullptr);
    X509_time_adj_ex(X509_getm_notAfter(cert), 0, days * kDay + (days < 0 ? 0 : 60), nullptr);
    X509_set_pubkey(cert, key_.get());
    X509_NAME* const name = X509_get_subject_name(cert);
    const auto* const common = reinterpret_cast<const unsigned char*>("nobody");
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0);
    X509_set_issuer_name(cert, name);
    if (!names.empty()) {
      X509_EXTENSION* const extension =
          X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
      X509_add_ext(cert, extension, -1);
      X509_EXTENSION_free(extension);
    }
    X509_sign(cert, key_.get(), EVP_sha256());
    SSL_CTX_use_certificate(context_.get(), cert);
    SSL_CTX_use_PrivateKey(context_.get(), key_.get());
    FILE* const file = fopen(ca_file().c_str(), "w");
    PEM_write_X509(file, cert);
    fclose(file);
  }

  std::string ca_file() const { return dir_.file("ca.pem"); }
  SSL_CTX& context() { return *context_; }

  /// What a client with this configuration makes of it; the server's bytes come `piece` at a time.
  Talked meets(const ProbeConfig& config, std::size_t piece, std::time_t now = kNow) {
    const std::unique_ptr<SSL, FreeTls> tls(SSL_new(context_.get()));
    BIO* const in = BIO_new(BIO_s_mem());
    BIO* const out = BIO_new(BIO_s_mem());
    SSL_set_bio(tls.get(), in, out);
    SSL_set_accept_state(tls.get());
    const auto trusted = make_tls_context(config.ca_file);
    REQUIRE(trusted);
    const auto client = make_tls_talk(config, **trusted, now);
    std::string words;
    Heard heard = client->begin(words);
    while (heard.state == Heard::State::More && !words.empty()) {
      BIO_write(in, words.data(), static_cast<int>(words.size()));
      words.clear();
      SSL_do_handshake(tls.get());
      std::string answer(100'000, '\0');
      answer.resize(static_cast<std::size_t>(std::max(0, BIO_read(out, answer.data(), 100'000))));
      for (std::size_t at = 0; at < answer.size() && heard.state == Heard::State::More; at += piece)
        heard = client->hear(std::string_view(answer).substr(at, piece), words);
    }
    BIO_write(in, words.data(), static_cast<int>(words.size()));
    finished_ = SSL_do_handshake(tls.get()) == 1;
    char byte = 0;
    told_goodbye_ = SSL_get_error(tls.get(), SSL_read(tls.get(), &byte, 1)) == SSL_ERROR_ZERO_RETURN;
    const char* const name = SSL_get_servername(tls.get(), TLSEXT_NAMETYPE_host_name);
    asked_for_ = name == nullptr ? "" : name;
    return outcome(heard, "");
  }

  bool finished_ = false;      ///< the last handshake, as this side sees it
  bool told_goodbye_ = false;  ///< by the last client
  std::string asked_for_;      ///< by the last client

 private:
  TempDir dir_;
  std::unique_ptr<EVP_PKEY, FreeX509> key_;
  std::unique_ptr<X509, FreeX509> certificate_;
  TlsContext context_;
};

ProbeConfig looking_for(const std::string& host, const std::string& ca_file, std::uint32_t days = 0) {
  ProbeConfig config;
  config.host = host;
  config.ca_file = ca_file;
  config.min_days_left = days;
  return config;
}

/// With the server's bytes in all sorts of pieces, in both versions of TLS: it always goes the same way.
Talked met(Server& server, const ProbeConfig& config, std::time_t now = kNow) {
  const Talked whole = server.meets(config, 100'000, now);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SSL_CTX_set_max_proto_version(&server.context(), version);
    for (const std::size_t piece : {1, 2, 3, 5, 100, 1000}) {
      CAPTURE(version, piece);
      CHECK(server.meets(config, piece, now) == whole);
      CHECK(server.finished_);
      CHECK(server.told_goodbye_);
      CHECK(server.asked_for_ == (config.host == "10.0.0.1" ? "" : config.host));
    }
  }
  SSL_CTX_set_max_proto_version(&server.context(), 0);
  return whole;
}

}  // namespace

TEST_CASE("tls: a certificate for the name, by somebody trusted, passes") {
  Server server("DNS:www.example.org, DNS:*.example.net, IP:10.0.0.1");
  CHECK(met(server, looking_for("www.example.org", server.ca_file())) == passes(""));
  CHECK(met(server, looking_for("a.example.net", server.ca_file())) == passes(""));
  CHECK(met(server, looking_for("10.0.0.1", server.ca_file())) == passes(""));
}

TEST_CASE("tls: another name fails, and the certificate's own are told") {
  Server server("DNS:a.example, DNS:b.example, IP:10.0.0.9");
  const Talked talked = met(server, looking_for("www.example.org", server.ca_file()));
  CHECK(talked ==
        fails("the certificate is for a.example, b.example, 10.0.0.9, not for www.example.org", ""));
  CHECK(met(server, looking_for("10.0.0.1", server.ca_file())).state == Heard::State::Failed);
  Server many("DNS:a, DNS:b, DNS:c, DNS:d");
  CHECK(met(many, looking_for("x.y", many.ca_file())).reason ==
        "the certificate is for a, b, c, …, not for x.y");
}

TEST_CASE("tls: what nobody trusts fails, unless nothing is to be verified") {
  Server server("DNS:www.example.org");
  Server other("DNS:www.example.org");
  CHECK_THAT(met(server, looking_for("www.example.org", other.ca_file())).reason,
             Catch::StartsWith("the certificate is not trusted: "));
  CHECK(met(server, looking_for("www.example.org", "")).state == Heard::State::Failed);
  ProbeConfig unverified = looking_for("x.y", "");
  unverified.verify = false;
  CHECK(met(server, unverified) == passes(""));
}

TEST_CASE("tls: a certificate that has expired, or will too soon, fails with its date") {
  Server expired("DNS:a.b", -3);
  CHECK_THAT(met(expired, looking_for("a.b", expired.ca_file())).reason,
             Catch::StartsWith("the certificate has expired on 20"));
  Server soon("DNS:a.b", 13);
  CHECK(met(soon, looking_for("a.b", soon.ca_file())) == passes(""));
  CHECK(met(soon, looking_for("a.b", soon.ca_file(), 13)) == passes(""));
  CHECK_THAT(met(soon, looking_for("a.b", soon.ca_file(), 14)).reason,
             Catch::StartsWith("the certificate expires on 20") &&
                 Catch::Contains(", 13 days from now, min_days_left is 14"));
  ProbeConfig unverified = looking_for("a.b", "", 14);
  unverified.verify = false;
  CHECK(met(soon, unverified).state == Heard::State::Failed);
  CHECK(met(expired, unverified).state == Heard::State::Failed);
  unverified.min_days_left = 0;
  CHECK(met(expired, unverified) == passes(""));
  // The day is the one it is told.
  CHECK_THAT(met(soon, looking_for("a.b", soon.ca_file()), kNow + 20 * kDay).reason,
             Catch::StartsWith("the certificate has expired"));
}

TEST_CASE("tls: what is no TLS, refuses, or closes fails") {
  const auto context = make_tls_context("");
  REQUIRE(context);
  ProbeConfig config;
  config.verify = false;
  const auto answered = [&](const std::string& answer) {
    return talk(*make_tls_talk(config, **context, kNow), {answer}, true).reason;
  };
  CHECK(answered("220 mail.example.org\r\n") == "this is not TLS, got \"220 mail.example.org\\x0d\\n\"");
  CHECK_THAT(answered(std::string("\x15\x03\x03\x00\x02\x02\x28", 7)), Catch::Contains("handshake failure"));
  CHECK(answered("") == "closed by the backend within the handshake");
  CHECK(answered("\x16") == "closed by the backend within the handshake");
  const std::string garbage(300'000, '\x16');
  CHECK_FALSE(answered(garbage).empty());
}

TEST_CASE("tls: certificates that cannot be read are told with their file") {
  const auto context = make_tls_context("/no/such/file");
  REQUIRE_FALSE(context);
  CHECK_THAT(context.error(), Catch::StartsWith("cannot read certificates of /no/such/file: "));
}
