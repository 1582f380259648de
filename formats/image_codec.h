/*
 * image_codec.h - what the decoders of image.h share; private to
 * formats/image*.c.
 */
#ifndef BS_FORMATS_IMAGE_CODEC_H
#define BS_FORMATS_IMAGE_CODEC_H

#include "formats/image.h"

/*
 * One decoder each.  Width and height from the header go to *img once they are
 * within the limits; with `pixels` the image is decoded too, and the caller
 * releases *img whatever the status.
 */
enum bs_image_status bs_jpeg_read(const uint8_t *data, size_t len,
                                  const struct bs_image_limits *limits,
                                  bool pixels, struct bs_image *img,
                                  struct bs_err *e);
enum bs_image_status bs_png_read(const uint8_t *data, size_t len,
                                 const struct bs_image_limits *limits,
                                 bool pixels, struct bs_image *img,
                                 struct bs_err *e);
enum bs_image_status bs_webp_read(const uint8_t *data, size_t len,
                                  const struct bs_image_limits *limits,
                                  bool pixels, struct bs_image *img,
                                  struct bs_err *e);

/* "NAME VERSION" as snprintf writes it, or nothing where it is not built in. */
void bs_jpeg_version(char *out, size_t room);
void bs_png_version(char *out, size_t room);
void bs_webp_version(char *out, size_t room);

/* Say what is wrong and give the status back. */
enum bs_image_status bs_image_fail(struct bs_err *e,
                                   enum bs_image_status status, const char *fmt,
                                   ...) BS_PRINTF(3, 4);

/* Hold the size against the limits, then keep it in *img. */
enum bs_image_status bs_image_fits(struct bs_image *img, size_t width,
                                   size_t height,
                                   const struct bs_image_limits *limits,
                                   struct bs_err *e);
/* Memory for the pixels of *img, not cleared. */
enum bs_image_status bs_image_alloc(struct bs_image *img, struct bs_err *e);

#endif
