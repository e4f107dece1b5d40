/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "nn/cmd/serve/tls.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "nn/cmd/cmd.h"

#define LONGEST (1u << 20) /* of a file */
/* Certificates from the server's to the one below the root. */
#define LONGEST_CHAIN 16u

typedef struct identity {
    gnutls_datum_t certificate, key; /* PEM */
} identity;

static identity current;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void clear(identity *i)
{
    nn_cmd_free_input(i->certificate.data, i->certificate.size);
    nn_cmd_free_input(i->key.data, i->key.size);
    *i = (identity){0};
}

static fhola_status read_text(gnutls_datum_t *text, const char *path)
{
    size_t length;
    FHOLA_TRY(nn_cmd_read_input(&text->data, &length, path, LONGEST));
    text->size = (unsigned)length;
    return FHOLA_OK;
}

static void release(gnutls_pcert_st *chain, unsigned length, gnutls_privkey_t key)
{
    if (key) gnutls_privkey_deinit(key);
    for (unsigned k = 0; k < length; k++) gnutls_pcert_deinit(&chain[k]);
    gnutls_free(chain);
}

/* What a handshake gets, made anew for each. */
static int import(const identity *i, gnutls_pcert_st **certificates, unsigned *count,
                  gnutls_privkey_t *key)
{
    gnutls_pcert_st *chain = gnutls_calloc(LONGEST_CHAIN, sizeof *chain);
    gnutls_privkey_t own = NULL;
    unsigned length = LONGEST_CHAIN;
    if (!chain) return GNUTLS_E_MEMORY_ERROR;
    int code =
        gnutls_pcert_list_import_x509_raw(chain, &length, &i->certificate, GNUTLS_X509_FMT_PEM, 0);
    if (code < 0) length = 0;
    if (code >= 0) code = gnutls_privkey_init(&own);
    if (code >= 0)
        code = gnutls_privkey_import_x509_raw(own, &i->key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (code >= 0) {
        *certificates = chain;
        *count = length;
        *key = own;
        return 0;
    }
    release(chain, length, own);
    return code;
}

/* Whether the key is that of the certificate, and handshakes can have both. */
static fhola_status check(const identity *i, const char *certificate, const char *key)
{
    gnutls_certificate_credentials_t both;
    gnutls_pcert_st *chain = NULL;
    gnutls_privkey_t own = NULL;
    unsigned length = 0;
    int code = gnutls_certificate_allocate_credentials(&both);
    if (code < 0) return fhola_fail(FHOLA_NOMEM, "no memory for a certificate");
    code = gnutls_certificate_set_x509_key_mem2(both, &i->certificate, &i->key, GNUTLS_X509_FMT_PEM,
                                                NULL, 0);
    gnutls_certificate_free_credentials(both);
    if (code >= 0) code = import(i, &chain, &length, &own);
    release(chain, length, own);
    if (code >= 0) return FHOLA_OK;
    return fhola_fail(FHOLA_PARAM, "%s, %s: no certificate and its key in PEM: %s", certificate,
                      key, gnutls_strerror(code));
}

fhola_status serve_tls_load(const char *certificate, const char *key)
{
    identity new = {0};
    fhola_status status = read_text(&new.certificate, certificate);
    if (status == FHOLA_OK) status = read_text(&new.key, key);
    if (status == FHOLA_OK) status = check(&new, certificate, key);
    if (status == FHOLA_OK) {
        (void)pthread_mutex_lock(&mutex);
        identity old = current;
        current = new;
        new = old;
        (void)pthread_mutex_unlock(&mutex);
    }
    clear(&new);
    return status;
}

void serve_tls_clear(void)
{
    clear(&current);
}

int serve_tls_offer(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                    gnutls_pcert_st **certificates, unsigned *count, gnutls_ocsp_data_st **ocsp,
                    unsigned *ocsp_count, gnutls_privkey_t *key, unsigned *flags)
{
    (void)session;
    (void)info;
    *ocsp = NULL;
    *ocsp_count = 0;
    *flags = GNUTLS_CERT_RETR_DEINIT_ALL;
    (void)pthread_mutex_lock(&mutex);
    int code = import(&current, certificates, count, key);
    (void)pthread_mutex_unlock(&mutex);
    return code < 0 ? -1 : 0;
}
