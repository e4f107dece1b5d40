/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate of HTTPS, which may be exchanged while there are connections. One a process:
 * GnuTLS asks for it by a function without an argument. */
#ifndef NN_CMD_SERVE_TLS_H
#define NN_CMD_SERVE_TLS_H

#include <gnutls/abstract.h>

#include "ckks/ckks.h"

/* Reads a certificate, perhaps with those above it, and its key (PEM), which handshakes have from
 * now on. What there was stays if it fails. FHOLA_IO; FHOLA_FORMAT, FHOLA_PARAM: they are none, or
 * do not belong together. */
FHOLA_WARN_UNUSED fhola_status serve_tls_load(const char *certificate, const char *key);
void serve_tls_clear(void);

/* A gnutls_certificate_retrieve_function3. */
int serve_tls_offer(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                    gnutls_pcert_st **certificates, unsigned *count, gnutls_ocsp_data_st **ocsp,
                    unsigned *ocsp_count, gnutls_privkey_t *key, unsigned *flags);

#endif
