/* SPDX-License-Identifier: Apache-2.0 */
/* The page of a plan in a real browser, Chromium without a window: what it made of the page has
 * every part, and a picture of it is not blank. Skipped without Chromium (Debian: chromium) or
 * libpng. FHOLA_KEEP_PAGE=FOLDER keeps page and picture there. */
#include "report_page.h"

#ifdef HAVE_PNG
#include <png.h>

#define BROWSER                                                                                    \
    "timeout 100 \"$(command -v chromium || command -v chromium-browser || command -v "            \
    "google-chrome)\""
#define OPTIONS                                                                                    \
    " --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "       \
    "--disable-dev-shm-usage"                                                                      \
    " --hide-scrollbars --window-size=1200,3300"

static void run_browser(const char *page, const char *action)
{
    char command[1024];
    snprintf(command, sizeof command,
             BROWSER OPTIONS " --user-data-dir=%s/browser %s file://%s 2>%s/browser.log",
             test_folder, action, page, test_folder);
    ck_assert_msg(system(command) == 0, "the browser failed: %s", command);
}

START_TEST(browser_renders_every_part)
{
    char action[256];
    snprintf(action, sizeof action, "--dump-dom >%s/dom", test_folder);
    run_browser(make_page(), action);
    char *dom = read_whole(in_folder("dom"));
    check_parts(dom);
    free(dom);
}
END_TEST

/* Share of the most frequent colour, and how many colours there are (up to 4096, by their upper 4
 * bits). */
static double commonest(size_t *colours, const unsigned char *rgb, size_t pixels)
{
    static size_t count[4096];
    size_t most = 0;
    memset(count, 0, sizeof count);
    for (size_t j = 0; j < pixels; j++)
        count[(size_t)(rgb[3 * j] >> 4) << 8 | (size_t)(rgb[3 * j + 1] >> 4) << 4 |
              rgb[3 * j + 2] >> 4]++;
    *colours = 0;
    for (size_t k = 0; k < 4096; k++) {
        most = count[k] > most ? count[k] : most;
        *colours += count[k] > 0;
    }
    return (double)most / (double)pixels;
}

START_TEST(picture_is_not_blank)
{
    char action[256];
    const char *page = make_page(), *keep = getenv("FHOLA_KEEP_PAGE");
    snprintf(action, sizeof action, "--screenshot=%s/page.png >%s/log", test_folder, test_folder);
    run_browser(page, action);
    if (keep) {
        char command[512];
        snprintf(command, sizeof command, "cp %s/page.html %s/page.png '%s'", test_folder,
                 test_folder, keep);
        ck_assert_int_eq(system(command), 0);
    }
    png_image image = {.version = PNG_IMAGE_VERSION};
    ck_assert_msg(png_image_begin_read_from_file(&image, in_folder("page.png")), "%s",
                  image.message);
    image.format = PNG_FORMAT_RGB;
    ck_assert_uint_eq(image.width, 1200);
    unsigned char *rgb = malloc(PNG_IMAGE_SIZE(image));
    ck_assert_ptr_nonnull(rgb);
    ck_assert_msg(png_image_finish_read(&image, NULL, rgb, 0, NULL), "%s", image.message);
    size_t colours, row = 3 * (size_t)image.width;
    double share = commonest(&colours, rgb, (size_t)image.width * image.height);
    ck_assert_msg(share < 0.97 && colours > 12,
                  "%zu colours, the most frequent on %.1f %% of the picture", colours, 100 * share);
    /* Drawings all the way down: no band of 800 rows is nearly empty. */
    for (size_t top = 0; top + 800 <= 2400; top += 800) {
        share = commonest(&colours, rgb + top * row, 800 * (size_t)image.width);
        ck_assert_msg(share < 0.985 && colours > 6, "rows %zu to %zu: %zu colours, one on %.1f %%",
                      top, top + 799, colours, 100 * share);
    }
    free(rgb);
}
END_TEST

int main(void)
{
    if (system("command -v chromium >/dev/null || command -v chromium-browser >/dev/null || "
               "command -v google-chrome >/dev/null") != 0) {
        printf("no Chromium\n");
        return 77;
    }
    TCase *tcase = tcase_create("page");
    tcase_add_test(tcase, browser_renders_every_part);
    tcase_add_test(tcase, picture_is_not_blank);
    return run_tests("page", tcase, 240);
}
#else
int main(void)
{
    printf("no libpng\n");
    return 77;
}
#endif
