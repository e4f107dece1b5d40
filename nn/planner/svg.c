/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/planner/svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TICKS 6u

/* ---- text and numbers ---- */

void nn_html_text(nn_text *out, const char *text)
{
    for (; *text; text++) {
        const char one[2] = {*text, 0};
        switch (*text) {
        case '&': nn_text_add(out, "&amp;"); break;
        case '<': nn_text_add(out, "&lt;"); break;
        case '>': nn_text_add(out, "&gt;"); break;
        case '"': nn_text_add(out, "&quot;"); break;
        default: nn_text_add(out, one); break;
        }
    }
}

char *nn_fixed(char to[NN_FIXED_ROOM], double number, unsigned decimals)
{
    static const long long power[7] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    const unsigned places = decimals < 6 ? decimals : 6;
    if (!(fabs(number) < 1e12)) {
        memcpy(to, "-", 2);
        return to;
    }
    long long unit = power[places], value = llround(fabs(number) * (double)unit);
    int length =
        snprintf(to, NN_FIXED_ROOM, "%s%lld", number < 0 && value ? "-" : "", value / unit);
    if (places)
        snprintf(to + length, NN_FIXED_ROOM - (size_t)length, ".%0*lld", (int)places, value % unit);
    return to;
}

void nn_html_number(nn_text *out, double number, unsigned decimals)
{
    char digits[NN_FIXED_ROOM];
    nn_text_add(out, nn_fixed(digits, number, decimals));
}

static void attribute(nn_text *out, const char *name, double value)
{
    nn_text_format(out, " %s=\"", name);
    nn_html_number(out, value, 2);
    nn_text_add(out, "\"");
}

static void class_of(nn_text *out, const char *class_name)
{
    nn_text_format(out, " class=\"%s\"", class_name);
}

static void end_with_title(nn_text *out, const char *element, const char *title)
{
    if (title) {
        nn_text_add(out, "><title>");
        nn_html_text(out, title);
        nn_text_format(out, "</title></%s>\n", element);
    } else {
        nn_text_add(out, "/>\n");
    }
}

void nn_svg_begin(nn_text *out, const char *class_name, double width, double height,
                  const char *label)
{
    nn_text_add(out, "<svg role=\"img\"");
    if (class_name) class_of(out, class_name);
    nn_text_add(out, " viewBox=\"0 0 ");
    nn_html_number(out, width, 0);
    nn_text_add(out, " ");
    nn_html_number(out, height, 0);
    nn_text_add(out, "\" aria-label=\"");
    nn_html_text(out, label);
    nn_text_add(out, "\">\n");
}

void nn_svg_end(nn_text *out)
{
    nn_text_add(out, "</svg>\n");
}

void nn_svg_line(nn_text *out, const char *class_name, double x1, double y1, double x2, double y2)
{
    nn_text_add(out, "<line");
    attribute(out, "x1", x1);
    attribute(out, "y1", y1);
    attribute(out, "x2", x2);
    attribute(out, "y2", y2);
    class_of(out, class_name);
    nn_text_add(out, "/>\n");
}

void nn_svg_text(nn_text *out, double x, double y, double lines, const char *class_name,
                 const char *text)
{
    nn_text_add(out, "<text");
    attribute(out, "x", x);
    attribute(out, "y", y);
    if (lines != 0) {
        nn_text_add(out, " dy=\"");
        nn_html_number(out, lines, 2);
        nn_text_add(out, "em\"");
    }
    class_of(out, class_name);
    nn_text_add(out, ">");
    nn_html_text(out, text);
    nn_text_add(out, "</text>\n");
}

/* ---- coordinates ---- */

static double clip(double share)
{
    return isnan(share) ? 0 : fmin(fmax(share, -0.02), 1.02);
}

double nn_plot_x(const nn_plot *p, double x)
{
    return p->left + p->width * clip((x - p->x_min) / (p->x_max - p->x_min));
}

double nn_plot_y(const nn_plot *p, double y)
{
    double share = p->log_y ? log(fmax(y, p->y_min * 1e-3) / p->y_min) / log(p->y_max / p->y_min)
                            : (y - p->y_min) / (p->y_max - p->y_min);
    return p->top + p->height * (1 - clip(share));
}

/* ---- axes ---- */

/* A round step that gives about so many of them, and the places after the point it needs. */
static double tick_step(const nn_plot *p, double range, unsigned *decimals)
{
    double rough = range / (p->tick_count ? p->tick_count : TICKS),
           power = pow(10, floor(log10(rough))), step = 10 * power;
    if (rough <= 2 * power)
        step = 2 * power;
    else if (rough <= 5 * power)
        step = 5 * power;
    *decimals = step >= 1 ? 0 : (unsigned)ceil(-log10(step) - 1e-9);
    return step;
}

static void x_ticks(const nn_plot *p)
{
    unsigned decimals;
    char number[NN_FIXED_ROOM];
    double step = tick_step(p, p->x_max - p->x_min, &decimals), bottom = p->top + p->height;
    for (double x = ceil(p->x_min / step - 1e-9) * step; x <= p->x_max + 1e-9 * step; x += step) {
        nn_svg_line(p->out, "grid", nn_plot_x(p, x), p->top, nn_plot_x(p, x), bottom);
        nn_svg_text(p->out, nn_plot_x(p, x), bottom + 3, 1, "tick mid",
                    nn_fixed(number, x, decimals));
    }
}

static void y_tick(const nn_plot *p, double y, const char *number)
{
    double at = nn_plot_y(p, y);
    nn_svg_line(p->out, "grid", p->left, at, p->left + p->width, at);
    nn_svg_text(p->out, p->left - 5, at, 0.35, "tick end", number);
}

/* Powers of ten. */
static void log_ticks(const nn_plot *p)
{
    char number[NN_FIXED_ROOM];
    int first = (int)ceil(log10(p->y_min) - 1e-9), last = (int)floor(log10(p->y_max) + 1e-9),
        step = 1 + (last - first) / (int)TICKS;
    for (int power = first; power <= last; power += step) {
        snprintf(number, sizeof number, "1e%d", power);
        y_tick(p, pow(10, power), number);
    }
}

static void y_ticks(const nn_plot *p)
{
    unsigned decimals;
    char number[NN_FIXED_ROOM];
    double step = tick_step(p, p->y_max - p->y_min, &decimals);
    for (double y = ceil(p->y_min / step - 1e-9) * step; y <= p->y_max + 1e-9 * step; y += step)
        y_tick(p, y, nn_fixed(number, y, decimals));
}

void nn_plot_axes(const nn_plot *p, const char *x_name, const char *y_name)
{
    double bottom = p->top + p->height;
    if (x_name) x_ticks(p);
    if (y_name) (p->log_y ? log_ticks : y_ticks)(p);
    if (x_name && *x_name)
        nn_svg_text(p->out, p->left + p->width / 2, bottom + 3, 2.2, "tick mid", x_name);
    if (y_name && *y_name) nn_svg_text(p->out, 2, p->top, -0.7, "tick", y_name);
    nn_svg_line(p->out, "grid", p->left, bottom, p->left + p->width, bottom);
}

/* ---- marks ---- */

static void add_point(const nn_plot *p, double x, double y)
{
    nn_html_number(p->out, x, 1);
    nn_text_add(p->out, ",");
    nn_html_number(p->out, y, 1);
    nn_text_add(p->out, " ");
}

/* Whether every point between two lies so near to the line through these that it does not show. */
static bool is_straight(const nn_plot *p, const double *x, const double *y, size_t from, size_t to)
{
    double x0 = nn_plot_x(p, x[from]), y0 = nn_plot_y(p, y[from]), dx = nn_plot_x(p, x[to]) - x0,
           dy = nn_plot_y(p, y[to]) - y0, length = hypot(dx, dy);
    for (size_t i = from + 1; i < to; i++)
        if (fabs(dx * (nn_plot_y(p, y[i]) - y0) - dy * (nn_plot_x(p, x[i]) - x0)) > 0.1 * length)
            return false;
    return true;
}

/* Only the points that show. */
static void add_points(const nn_plot *p, const double *x, const double *y, size_t count)
{
    size_t last = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && i + 1 < count && is_straight(p, x, y, last, i + 1)) continue;
        add_point(p, nn_plot_x(p, x[i]), nn_plot_y(p, y[i]));
        last = i;
    }
}

void nn_plot_line(const nn_plot *p, const char *class_name, const double *x, const double *y,
                  size_t count)
{
    nn_text_add(p->out, "<polyline");
    class_of(p->out, class_name);
    nn_text_add(p->out, " points=\"");
    add_points(p, x, y, count);
    nn_text_add(p->out, "\"/>\n");
}

void nn_plot_area(const nn_plot *p, const char *class_name, const double *x, const double *y,
                  size_t count)
{
    if (count == 0) return;
    const double ends[2] = {x[count - 1], x[0]}, zero[2] = {p->y_min, p->y_min};
    nn_text_add(p->out, "<polygon");
    class_of(p->out, class_name);
    nn_text_add(p->out, " points=\"");
    add_points(p, x, y, count);
    add_points(p, ends, zero, 2);
    nn_text_add(p->out, "\"/>\n");
}

void nn_plot_level(const nn_plot *p, const char *class_name, double y, const char *name)
{
    const double x[2] = {p->x_min, p->x_max}, level[2] = {y, y};
    nn_plot_line(p, class_name, x, level, 2);
    if (name) nn_svg_text(p->out, p->left + p->width - 4, nn_plot_y(p, y), -0.4, "tick end", name);
}

void nn_plot_bar(const nn_plot *p, const char *class_name, double x, double width, double y,
                 const char *title)
{
    double left = nn_plot_x(p, x - width / 2), right = nn_plot_x(p, x + width / 2),
           top = nn_plot_y(p, y);
    nn_text_add(p->out, "<rect rx=\"2\"");
    class_of(p->out, class_name);
    attribute(p->out, "x", left);
    attribute(p->out, "y", top);
    attribute(p->out, "width", right - left);
    attribute(p->out, "height", fmax(p->top + p->height - top, 0.5));
    end_with_title(p->out, "rect", title);
}

void nn_plot_dot(const nn_plot *p, const char *class_name, double x, double y, double radius,
                 const char *title)
{
    nn_text_add(p->out, "<circle");
    class_of(p->out, class_name);
    attribute(p->out, "cx", nn_plot_x(p, x));
    attribute(p->out, "cy", nn_plot_y(p, y));
    attribute(p->out, "r", radius);
    end_with_title(p->out, "circle", title);
}

void nn_plot_below(const nn_plot *p, const char *class_name, double x, const char *title)
{
    const double at = nn_plot_x(p, x), bottom = p->top + p->height;
    nn_text_add(p->out, "<polygon");
    class_of(p->out, class_name);
    nn_text_add(p->out, " points=\"");
    add_point(p, at - 6, bottom - 10);
    add_point(p, at + 6, bottom - 10);
    add_point(p, at, bottom);
    nn_text_add(p->out, "\"");
    end_with_title(p->out, "polygon", title);
}
