#include "health/tls_talk.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "health/server_words.h"

namespace weir {
namespace {

constexpr std::size_t kMaxHandshake = 256 * 1024;
constexpr int kMaxNames = 3;  ///< of a certificate, in the reason

/// What OpenSSL has to say of the last fault of this thread.
std::string tls_error() {
  const unsigned long code = ERR_peek_last_error();
  const char* const reason = ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "the handshake failed";
  ERR_clear_error();
  return text;
}

bool is_ip(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

std::string date_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "a date that cannot be read";
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

/// The DNS names and addresses that a certificate is for, the first few.
std::string names_of(X509* certificate) {
  struct Free {
    void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
  };
  const std::unique_ptr<GENERAL_NAMES, Free> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string out;
  int shown = 0;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const void* const value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type);
    if (type != GEN_DNS && type != GEN_IPADD) continue;
    if (++shown > kMaxNames) return out + ", …";
    const auto* const text = static_cast<const ASN1_STRING*>(value);
    const std::string bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                            static_cast<std::size_t>(ASN1_STRING_length(text)));
    std::array<char, INET6_ADDRSTRLEN> ip{};
    if (type == GEN_IPADD)
      ::inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, (bytes + std::string(16, '\0')).data(), ip.data(),
                  ip.size());
    out += (out.empty() ? "" : ", ") + server_words(type == GEN_DNS ? bytes : ip.data());
  }
  return out.empty() ? "no name" : out;
}

class TlsTalk final : public Talk {
 public:
  TlsTalk(const ProbeConfig& config, SSL_CTX& context, std::time_t now)
      : config_(config), now_(now), tls_(SSL_new(&context)) {}

  Heard begin(std::string& words) override {
    BIO* const in = BIO_new(BIO_s_mem());
    BIO* const out = BIO_new(BIO_s_mem());
    if (!tls_ || in == nullptr || out == nullptr || !name_it()) {
      BIO_free(in);
      BIO_free(out);
      return Heard::failed("OpenSSL: " + tls_error());
    }
    SSL_set_bio(tls_.get(), in, out);
    SSL_set_connect_state(tls_.get());
    return go_on(words);
  }

  Heard hear(std::string_view bytes, std::string& words) override {
    // Alert or handshake: nothing else begins TLS, and OpenSSL would only name a wrong version.
    if (heard_ == 0 && !bytes.empty() && bytes[0] != 0x15 && bytes[0] != 0x16)
      return Heard::failed(fmt::format("this is not TLS, got {}", shown_start(bytes)));
    heard_ += bytes.size();
    if (heard_ > kMaxHandshake) return Heard::failed("a handshake without an end");
    BIO_write(SSL_get_rbio(tls_.get()), bytes.data(), static_cast<int>(bytes.size()));
    return go_on(words);
  }

  Heard hear_end() override { return Heard::failed("closed by the backend within the handshake"); }

 private:
  /// Whom to ask for, and whom to expect.
  bool name_it() {
    const std::string& host = config_.host;
    if (host.empty()) return true;
    X509_VERIFY_PARAM* const expected = SSL_get0_param(tls_.get());
    X509_VERIFY_PARAM_set_time(expected, now_);
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_ip(host)) return X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str()) == 1;
    // SSL_set_tlsext_host_name is a macro with a cast of the old kind.
    return SSL_ctrl(tls_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    const_cast<char*>(host.c_str())) == 1 &&
           X509_VERIFY_PARAM_set1_host(expected, host.c_str(), 0) == 1;
  }

  Heard go_on(std::string& words) {
    ERR_clear_error();
    const int done = SSL_do_handshake(tls_.get());
    const int error = SSL_get_error(tls_.get(), done);
    Heard heard;
    if (done == 1) {
      heard = judge();
      SSL_shutdown(tls_.get());  // says goodbye
    } else if (error != SSL_ERROR_WANT_READ) {
      heard = Heard::failed("TLS: " + tls_error());
    }
    take_words(words);
    return heard;
  }

  void take_words(std::string& words) {
    std::array<char, 4096> buffer;
    BIO* const out = SSL_get_wbio(tls_.get());
    for (int n = 0; (n = BIO_read(out, buffer.data(), buffer.size())) > 0;)
      words.append(buffer.data(), static_cast<std::size_t>(n));
  }

  Heard judge() {
    X509* const certificate = SSL_get0_peer_certificate(tls_.get());
    if (certificate == nullptr) return Heard::failed("TLS: the server has shown no certificate");
    const ASN1_TIME* const end = X509_get0_notAfter(certificate);
    int days = 0, seconds = 0;
    ASN1_TIME* const now = ASN1_TIME_set(nullptr, now_);
    const bool readable = ASN1_TIME_diff(&days, &seconds, now, end) == 1;
    ASN1_TIME_free(now);
    const bool dated = config_.verify || config_.min_days_left > 0;
    if (dated && (!readable || days < 0 || seconds < 0))
      return Heard::failed("the certificate has expired on " + date_of(end));
    if (config_.verify)
      if (const long code = SSL_get_verify_result(tls_.get()); code != X509_V_OK)
        return Heard::failed(untrusted(certificate, code));
    if (dated && days < static_cast<int>(config_.min_days_left))
      return Heard::failed(fmt::format("the certificate expires on {}, {} days from now, min_days_left is {}",
                                       date_of(end), days, config_.min_days_left));
    return Heard::passed();
  }

  std::string untrusted(X509* certificate, long code) const {
    if (code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH)
      return fmt::format("the certificate is for {}, not for {}", names_of(certificate), config_.host);
    return fmt::format("the certificate is not trusted: {}", X509_verify_cert_error_string(code));
  }

  const ProbeConfig& config_;
  const std::time_t now_;
  const std::unique_ptr<SSL, FreeTls> tls_;
  std::size_t heard_ = 0;
};

}  // namespace

tl::expected<TlsContext, std::string> make_tls_context(const std::string& ca_file) {
  ERR_clear_error();
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  if (!context) return tl::unexpected("OpenSSL: " + tls_error());
  // In the handshake itself; the result is judged all the same.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  const int good = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                   : SSL_CTX_load_verify_file(context.get(), ca_file.c_str());
  if (good != 1)
    return tl::unexpected(fmt::format("cannot read certificates of {}: {}", ca_file, tls_error()));
  return context;
}

std::unique_ptr<Talk> make_tls_talk(const ProbeConfig& config, SSL_CTX& context, std::time_t now) {
  return std::make_unique<TlsTalk>(config, context, now);
}

}  // namespace weir
