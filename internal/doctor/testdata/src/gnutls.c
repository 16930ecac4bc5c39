#include <gnutls/gnutls.h>

int main(void)
{
    return gnutls_check_version("3.0") == NULL;
}
